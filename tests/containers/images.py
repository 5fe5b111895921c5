"""Images as `docker save` writes them: what each adds to its base, and its configuration."""

import functools
import io
import json
import subprocess
import tarfile


class Image:
    """What an image adds to its base, read when a test asks for it, and held in memory."""

    def __init__(self, engine, name, base, layers):
        found, beneath = engine.images.get(name), engine.images.get(base)
        self.name = name
        self.attrs = found.attrs
        self.history = found.history()
        self.size = found.attrs["Size"]
        self.adds = self.size - beneath.attrs["Size"]
        beneath = beneath.attrs["RootFS"]["Layers"]
        assert found.attrs["RootFS"]["Layers"][: len(beneath)] == beneath, f"{name} is not built from {base}"
        self._layers = layers[len(beneath) :]

    def files(self):
        """Path and content of every file in its own layers."""
        return [file for layer in self._layers for file in layer()]

    def paths(self):
        return sorted(path for path, _ in self.files())


def read_images(engine, names, base, folder):
    """The images of these names, all of them built from `base`."""
    saved = folder / "images.tar"
    subprocess.run(["docker", "save", "--output", saved, *names], check=True)
    archive = tarfile.open(saved)  # noqa: SIM115 - layers are read when a test asks for them
    manifest = json.loads(archive.extractfile("manifest.json").read())
    layers = {tag.removesuffix(":latest"): one["Layers"] for one in manifest for tag in one["RepoTags"]}

    @functools.cache  # images share layers
    def files(layer):
        with tarfile.open(fileobj=io.BytesIO(archive.extractfile(layer).read())) as content:
            return [(one.name, content.extractfile(one).read()) for one in content if one.isfile()]

    def reader(layer):
        return lambda: files(layer)

    return {name: Image(engine, name, base, [reader(layer) for layer in layers[name]]) for name in names}
