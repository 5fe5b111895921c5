# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: audit fuzz help setup demo test test-fast test-long check format schemas lock lock-images bench-estimators bench-peers bench-cost
.PHONY: distributions docs types types-win32 types-darwin attacks attacks-datagrams offline-bundle bench-correction bench-u95 bench-real bench-messages bench-scale bench-archive bench-recorder bench-whole bench-footprint bench-long-sessions bench-dashboard pictures blueos-extension soak-recorder soak-fleet soak-group soak-cluster clean

PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.dev ## Build .venv with everything for work on the code

demo: .venv/.run ## Two simulated vehicles, measured and recorded on the embedded broker
	@$(BIN)/python -m tidesync demo $(ARGS)

# Four workers on two cores: of the whole run most tests wait for programs. What shares fixtures stays together.
WORKERS := 2
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS)

test: WORKERS := 4
test: .venv/.dev ## Run the tests (ARGS="-m network" and the like)
	$(PYTEST) $(ARGS)

test-fast: .venv/.dev ## The unit tests and the simulation with two workers, fewer seeds and nothing slow (a minute)
	TEST_EFFORT=fast $(PYTEST) -m "not slow" tests/unit tests/simulation $(ARGS)

test-long: .venv/.dev ## The same with ten times the seeds of `make test`
	TEST_EFFORT=long $(PYTEST) --timeout 1200 tests/unit tests/simulation $(ARGS)

fuzz: .venv/.dev ## Altered and random input at every entry, always new, until something fails or Ctrl-C
	while FUZZ=open $(BIN)/python -m pytest -x --timeout 0 tests/fuzz $(ARGS); do :; done

PRODUCT := schemas runtime broker pi_agent topside_agent tidesync

types: .venv/.dev
	$(BIN)/mypy

types-win32 types-darwin: types-%: .venv/.dev
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$* $(PRODUCT:%=-p %)

check: .venv/.dev ## Format, lint, types (of the product on Windows and macOS too), the published contract, and words that were replaced
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory -j 2 types types-win32 types-darwin
	$(BIN)/python -m tools.contract --check
	$(BIN)/python -m tools.words

audit: .venv/.dev ## Look the locked versions up in a vulnerability database (needs pip-audit and the internet)
	$(BIN)/python -m tools.audit

format: .venv/.dev ## Put the code in order
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format .

schemas: .venv/.dev ## Write the published contract, from the code, into schemas/published/
	$(BIN)/python -m tools.contract

bench-estimators: .venv/.dev ## The estimator against its peers on simulated traces (a quarter of an hour); into docs/lab/
	$(BIN)/python -m bench.estimators --markdown docs/lab/bench-estimators.md --json bench/results/bench-estimators.json $(ARGS)

bench-u95: .venv/.dev ## How often u95 holds on 40 seeds of every family, ways up to 5 % apart (an hour); into docs/lab/
	$(BIN)/python -m bench.u95 --markdown docs/lab/bench-u95.md --json bench/results/bench-u95.json $(ARGS)

bench-real: .venv/.dev ## The estimator against its peers on recorded exchanges (TABLES="a.csv b.csv"); into docs/lab/
	$(BIN)/python -m bench.real $(TABLES) --markdown docs/lab/bench-real.md --json bench/results/bench-real.json $(ARGS)

bench-peers: .venv/.dev ## The whole measurement beside the real peers (half an hour; QUICK=1: 3 min); into docs/lab/
	$(BIN)/python -m bench.peers $(if $(QUICK),--quick) \
		--markdown docs/lab/bench-peers.md --json bench/results/bench-peers.json $(ARGS)

bench-cost: .venv/.dev ## What an exchange costs, from 1 to 1000 vehicles (QUICK=1: shorter; ARGS="--only 1000", 3000, group); into docs/lab/
	$(BIN)/python -m bench.cost $(if $(QUICK),--quick) \
		--markdown docs/lab/bench-cost.md --json bench/results/bench-cost.json $(ARGS)

bench-correction: .venv/.dev ## `tidesync correct` on tables of 0.5 and 1 GB beside pandas and polars (10 min); into docs/lab/
	$(BIN)/python -m bench.correction --markdown docs/lab/bench-correction.md --json bench/results/bench-correction.json $(ARGS)

bench-messages: .venv/.dev ## `tidesync correct` on a file of each format beside a plain pass over it (15 min); into docs/lab/
	$(BIN)/python -m bench.messages --markdown docs/lab/bench-messages.md --json bench/results/bench-messages.json $(ARGS)

bench-archive: .venv/.dev ## `tidesync correct` of a session and an archive with two processes beside one (5 min); into docs/lab/
	$(BIN)/python -m bench.archive --markdown docs/lab/bench-archive.md --json bench/results/bench-archive.json $(ARGS)

bench-scale: .venv/.dev ## What fleets of 1 to 100 000 vehicles need, by the last runs of the other benchmarks; into docs/lab/
	$(BIN)/python -m bench.scale --markdown docs/lab/bench-scale.md --json bench/results/bench-scale.json $(ARGS)

bench-recorder: .venv/.dev ## What recording 50 and 1000 vehicles costs (10 min; QUICK=1: 3 min); into docs/lab/
	$(BIN)/python -m bench.recorder $(if $(QUICK),--quick) \
		--markdown docs/lab/bench-recorder.md --json bench/results/bench-recorder.json $(ARGS)

bench-whole: .venv/.dev ## Topside, recorder, dashboard and a browser with 1000 vehicles (13 min; QUICK=1: 3 min); into docs/lab/
	$(BIN)/python -m bench.recorder --whole $(if $(QUICK),--quick) \
		--markdown docs/lab/bench-whole.md --json bench/results/bench-whole.json $(ARGS)

bench-footprint: .venv/.run ## What the vehicle's agent asks of a Pi, beside the smallest paho echo; into docs/lab/
	$(BIN)/python -m bench.footprint --markdown docs/lab/bench-footprint.md --json bench/results/bench-footprint.json $(ARGS)

bench-long-sessions: .venv/.dev ## Memory and CPU of stop, estimate, export and report by a session's length (2 min); into docs/lab/
	$(BIN)/python -m bench.long_sessions --markdown docs/lab/bench-long-sessions.md --json bench/results/bench-long-sessions.json $(ARGS)

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PLATFORM ?= linux/arm64

blueos-extension: ## The BlueOS extension as an offline .tar (PLATFORM=linux/arm/v7 for a Pi 3; needs Docker's buildx)
	mkdir -p dist
	docker buildx build --load --platform $(PLATFORM) --target pi --tag tidesync-pi:blueos .
	docker buildx build --load --platform $(PLATFORM) --build-arg PI_IMAGE=tidesync-pi:blueos \
		--build-arg VERSION=$(VERSION) $(if $(WEBSITE),--build-arg WEBSITE=$(WEBSITE)) \
		--tag tidesync-blueos:$(VERSION) deploy/blueos
	docker save --output dist/tidesync-blueos-$(VERSION)-$(subst /,-,$(PLATFORM)).tar tidesync-blueos:$(VERSION)
	@ls -l dist/tidesync-blueos-$(VERSION)-$(subst /,-,$(PLATFORM)).tar

# Of a bundle: `pi` or `surface`, for the processor of PLATFORM.
ROLE ?= pi
PYTHON_VERSION ?= 3.11
MACHINE := $(subst amd64,x86_64,$(subst arm64,aarch64,$(notdir $(PLATFORM))))
BUNDLE := tidesync-$(VERSION)-$(ROLE)-$(MACHINE)-python$(PYTHON_VERSION)
DISTRIBUTION := $(if $(filter surface,$(ROLE)),tidesync,tidesync-pi)
OURS := ./distributions/tidesync-pi $(if $(filter surface,$(ROLE)),.)

offline-bundle: .venv/.run ## Wheels for a computer without internet (ROLE=surface PLATFORM=linux/amd64 PYTHON_VERSION=3.13)
	rm -rf dist/$(BUNDLE) && mkdir -p dist/$(BUNDLE)
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
		--platform manylinux2014_$(MACHINE) --platform manylinux_2_28_$(MACHINE) --python-version $(PYTHON_VERSION) \
		-r requirements/$(if $(filter surface,$(ROLE)),run,$(ROLE)).lock -d dist/$(BUNDLE)
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist/$(BUNDLE) $(OURS)
	tar -C dist -cf dist/$(BUNDLE).tar $(BUNDLE) && rm -r dist/$(BUNDLE)
	@echo "For $(MACHINE) with Python $(PYTHON_VERSION) there (others: PLATFORM=linux/… PYTHON_VERSION=3.…)."
	@echo "Copy dist/$(BUNDLE).tar to the other computer, and there:"
	@echo "  tar xf $(BUNDLE).tar && python3 -m venv ~/.local/tidesync"
	@echo "  ~/.local/tidesync/bin/pip install --no-index --find-links $(BUNDLE) $(DISTRIBUTION)"

distributions: ## Wheels and sdists of both distributions, checked (needs requirements/release.lock)
	rm -rf dist/distributions && mkdir -p dist/distributions
	for project in distributions/tidesync-pi .; do \
		$(PYTHON) -m build --no-isolation --outdir dist/distributions $$project || exit 1; done
	$(PYTHON) -m twine check --strict dist/distributions/*

# An environment of its own: nothing else needs these libraries.
build/docs/.made: requirements/docs.lock
	$(PYTHON) -m venv build/docs
	build/docs/bin/python -m pip install --quiet --disable-pip-version-check --no-input --require-hashes -r $<
	touch $@

docs: build/docs/.made ## The documentation as a site, in build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 build/docs/bin/mkdocs build --strict --config-file deploy/site/mkdocs.yml

attacks: .venv/.dev ## Attack a broker in a container while vehicles are measured (7 min; needs Docker); into docs/
	ATTACKS_JSON=bench/results/attacks.json $(BIN)/python -m pytest -x tests/containers/test_attacks.py $(ARGS)
	$(BIN)/python -m bench.attacks bench/results/attacks.json docs/security.md

attacks-datagrams: .venv/.dev ## Attack a vehicle by datagrams while it is measured (1 min); into docs/
	ATTACKS_JSON=bench/results/attacks-datagrams.json $(BIN)/python -m pytest -x tests/network/test_datagram_attacks.py $(ARGS)
	$(BIN)/python -m bench.attacks --part datagrams bench/results/attacks-datagrams.json docs/security.md

bench-dashboard: .venv/.dev ## The dashboard with 1000 vehicles at a result a second (16 min; QUICK=1: 1 min); into docs/lab/
	$(BIN)/python -m bench.dashboard $(if $(QUICK),--quick) \
		--markdown docs/lab/bench-dashboard.md --json bench/results/bench-dashboard.json $(ARGS)

pictures: .venv/.dev ## The dashboard's pictures in docs/, from a live demo (2 min)
	$(BIN)/python -m bench.dashboard.pictures

soak-recorder: .venv/.dev ## A session of 10 minutes whose recorder is killed 200 times: is all there?
	$(BIN)/python -m bench.soak_recorder $(ARGS)

soak-group: .venv/.dev ## Three topsides share 300 vehicles, and are killed, stopped and cut off 100 times (19 min); into docs/lab/
	$(BIN)/python -m bench.soak_group --markdown docs/lab/soak-group.md --json bench/results/soak-group.json $(ARGS)

soak-fleet: .venv/.dev ## An hour of a fleet with a random fault every 5 s: is anything lost, wrong or not healed?
	$(BIN)/python -m bench.soak_fleet --browser \
		--markdown docs/lab/bench-soak-fleet.md --json bench/results/bench-soak-fleet.json $(ARGS)

soak-cluster: .venv/.dev ## Every node of a cluster of brokers killed and restarted in turn (ARGS="--broker rabbitmq"; 6 min), or cut off from the others (ARGS="--partitions 5")
	$(BIN)/python -m bench.soak_cluster $(ARGS)

COMPILE := uv pip compile -q --universal --python-version 3.10 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --no-emit-package tidesync-pi
PI := distributions/tidesync-pi/pyproject.toml

# Without our own distributions, which the directory of the tree brings.
lock: ## Pin the newest allowed dependencies (needs uv)
	$(COMPILE) $(ARGS) pyproject.toml requirements/build.in -o requirements/run.lock
	$(COMPILE) $(ARGS) -c requirements/run.lock \
		--extra dask --extra export --extra logs --group dev --group bench pyproject.toml requirements/build.in -o requirements/dev.lock
	$(MAKE) lock-images

lock-images: ## Pin what each container image holds, as run.lock has it
	$(COMPILE) $(ARGS) -c requirements/run.lock requirements/build.in -o requirements/build.lock
	$(COMPILE) $(ARGS) -c requirements/dev.lock requirements/release.in -o requirements/release.lock
	$(COMPILE) $(ARGS) -c requirements/dev.lock requirements/docs.in -o requirements/docs.lock
	$(COMPILE) $(ARGS) -c requirements/run.lock $(PI) -o requirements/pi.lock
	for role in topside dashboard accounts; do \
		$(COMPILE) $(ARGS) -c requirements/run.lock $(PI) requirements/$$role.in -o requirements/$$role.lock || exit 1; \
	done

clean: ## Remove what was built
	rm -rf .venv dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

# A stamp file that is newer than the lock and pyproject.toml: .venv is up to date.
.venv/.run: requirements/run.lock pyproject.toml distributions/tidesync-pi/pyproject.toml | .venv/bin/python
	@echo "Setting up .venv (once) …"
	@$(INSTALL) --require-hashes -r requirements/run.lock
	@$(INSTALL) --no-deps --no-build-isolation -e distributions/tidesync-pi -e .
	@touch $@

.venv/.dev: requirements/dev.lock .venv/.run
	@$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@

# The schema of AsyncAPI documents and the tools for TypeScript exist as packages of npm only; without them
# their tests are skipped. Node does not trust the system's certificate authorities by itself.
CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
SYSTEM_CERTIFICATES := $(if $(CERTIFICATES),NODE_EXTRA_CA_CERTS="$${NODE_EXTRA_CA_CERTS-$(CERTIFICATES)}")
tests/node_modules/.made: tests/package.json tests/package-lock.json
	@if command -v npm >/dev/null; then \
		$(SYSTEM_CERTIFICATES) npm ci --prefix tests --ignore-scripts --no-audit --no-fund --silent && touch $@ \
			|| echo "npm could not fetch its packages: the tests with them are skipped"; \
	else echo "npm is not installed: the tests with its packages are skipped"; fi

test: tests/node_modules/.made
