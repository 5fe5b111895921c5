# Every image, for every processor that it can be built for (docs/containers.md):
#   docker buildx bake --file deploy/docker-bake.hcl              builds them
#   IMAGE_PREFIX=account/ docker buildx bake --file … --push      publishes them; .github/workflows/release.yml does
variable "IMAGE_PREFIX" { default = "" }
variable "VERSION" { default = "0.1.0" }
variable "WEBSITE" { default = "https://tidesync.example" }
variable "README" { default = "https://tidesync.example/{tag}/docs/blueos.md" }

group "default" { targets = ["vehicle", "surface", "blueos"] }

target "published" {
  labels = { "org.opencontainers.image.version" = VERSION, "org.opencontainers.image.licenses" = "MIT" }
}

# For a Raspberry Pi with 32 bits too.
target "vehicle" {
  matrix    = { role = ["pi", "dashboard"] }
  name      = role
  inherits  = ["published"]
  target    = role
  platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
  tags      = ["${IMAGE_PREFIX}tidesync-${role}:${VERSION}"]
}

# numpy and cffi have no wheels for arm/v7.
target "surface" {
  matrix    = { role = ["topside", "recorder", "accounts"] }
  name      = role
  inherits  = ["published"]
  target    = role
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = ["${IMAGE_PREFIX}tidesync-${role}:${VERSION}"]
}

# BlueOS's store reads the labels of the first ARM image below a tag that is a semantic version.
target "blueos" {
  inherits  = ["published"]
  context   = "deploy/blueos"
  contexts  = { tidesync-pi = "target:pi" }
  args      = { VERSION = VERSION, WEBSITE = WEBSITE, README = README }
  platforms = ["linux/amd64", "linux/arm64", "linux/arm/v7"]
  tags      = ["${IMAGE_PREFIX}tidesync-blueos:${VERSION}"]
}
