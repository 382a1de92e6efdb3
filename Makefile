# What a person types; `make` alone says what there is. Everything is installed into .venv, nothing elsewhere.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCKS  := release/locks/build.txt release/locks/development.txt
# A lock names all that there is, and the tools that build what has no wheel are installed first. A package may have been released
# before the newest Python that it runs with, and says then that it does not.
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --ignore-requires-python
DEMO   := .imgflow-demo
REDACT := build/demo-redact
BENCH  := build/bench
ARGS   ?=
MINUTES ?= 5
SEEDS  ?= 20
COMPOSE ?= docker compose

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Use

.PHONY: demo
demo: $(READY)  ## Photographs through the pipeline on this machine, and a report to look at
	$(BIN)/python -m imgflow_cli.demo $(DEMO)
	$(BIN)/imgflow ingest $(DEMO) --municipality Demo
	$(BIN)/imgflow submit --municipality Demo

.PHONY: demo-redact
demo-redact: $(READY)  ## Faces in the demo's photographs found and covered, with a finder that another package ships
	$(BIN)/python -m imgflow_cli.demo $(DEMO)
	$(BIN)/python -m imgflow_cli.demo_faces $(REDACT)
	$(BIN)/imgflow ingest $(DEMO) --municipality Demo
	$(BIN)/imgflow submit --municipality Demo --pipeline $(REDACT)/pipeline.yaml
	$(BIN)/imgflow try @$(REDACT)/pipeline.yaml "$(DEMO)/Rathaus/portrait wide.jpg" --output $(REDACT)/before-after.jpg

##@ Develop

.PHONY: setup
setup: $(READY)  ## Create .venv with everything that developing needs

$(READY): pyproject.toml $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'imgflow needs Python 3.11 or newer, and $(PYTHON) is not; name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; \
		exit 1; }
	@echo 'Installing into $(VENV), once: about 2 GB, in some minutes. Nothing is printed meanwhile.' >&2
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --require-hashes --requirement release/locks/build.txt
	$(INSTALL) --require-hashes --requirement release/locks/development.txt
	$(INSTALL) --editable .
	@touch $@

# Not on $(READY), which a lock that does not fit would keep from getting ready.
.PHONY: lock
lock:  ## Pin what developing needs, and what the wheel requires, after a change of pyproject.toml; ARGS=--upgrade takes the newest
	@test -x $(BIN)/uv || $(MAKE) $(READY)
	$(BIN)/python -m release.lock $(ARGS)

# Hundreds of processes start; each would compile what it loads where no bytecode is kept.
.PHONY: test
test: $(READY)  ## Every test that can run here, none on a cluster unless IMGFLOW_REQUIRE asks; ARGS='-k name' picks some
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist loadgroup $(ARGS)

.PHONY: e2e
e2e: $(READY)  ## Tests of the built containers, and beside them those of the cluster that KUBECONFIG names
	IMGFLOW_REQUIRE="$${IMGFLOW_REQUIRE:-containers,cluster}" $(BIN)/pytest -m "containers or cluster" -n 2 --dist loadgroup $(ARGS)

.PHONY: lint
lint: $(READY)  ## Style, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: $(READY)  ## Static types
	$(BIN)/mypy

.PHONY: bench
bench: $(BENCH)/venv/.ready $(BENCH)/peers/.ready $(BENCH)/thumbor/.ready  ## How fast it is beside what others use; ARGS='--only single', ARGS=--quick
	$(BENCH)/venv/bin/python -m bench $(ARGS)

.PHONY: bench-cluster
bench-cluster: $(BENCH)/venv/.ready  ## The same for pods, on the cluster that kubectl talks to; ARGS='--namespace imgflow'
	$(BENCH)/venv/bin/python -m bench.cluster $(ARGS)

$(BENCH)/venv/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip install --quiet --editable '.[demo,bench]'
	@touch $@

# Where these cannot be had, the bench says so in their lines.
$(BENCH)/peers/.ready $(BENCH)/thumbor/.ready: $(BENCH)/%/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip install --quiet --group $* || true
	@touch $@

.PHONY: fuzz
fuzz: $(READY)  ## Send changed pictures, tables, archives, forms to all that reads them; MINUTES=5, ARGS='--target pictures'
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(ARGS)

.PHONY: chaos
chaos: $(READY)  ## Kill, fill disks and let stores err at random moments, and check what must hold; SEEDS=20, ARGS='--place local'
	$(BIN)/python -m tests.chaos --seeds $(SEEDS) $(ARGS)

.PHONY: soak
soak: MINUTES = 30
soak: $(READY)  ## Runs and requests for MINUTES=30, and whether memory, descriptors, threads, connections or files grow
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

.PHONY: mutation
mutation: $(READY)  ## Change the code that matters most in one place after another: tests must notice; ONLY=keys, ARGS='--most 40'
	$(BIN)/python -m tests.mutation $(if $(ONLY),--only $(ONLY)) $(ARGS)

.PHONY: notebook
notebook: $(READY)  ## Execute docs/notebook.ipynb anew, with what it shows
	IMGFLOW_THOROUGH=1 IMGFLOW_GOLDEN=rewrite $(BIN)/pytest -q tests/client/test_notebook.py

.PHONY: release
release: $(READY)  ## Wheel, sdist, chart, SBOMs and checksums in dist, the same bytes each time; says what a person has to push
	$(BIN)/python -m release.build

.PHONY: audit
audit: $(READY)  ## Licences and hashes of all that container images hold; says what it could not look at
	$(BIN)/python -m release.audit

.PHONY: version
version: $(READY)  ## Write VERSION=0.2.0 into every place that has it
	$(BIN)/python -m release.build --version $(VERSION)

.PHONY: docs
docs: $(READY)  ## The pages as a site in build/site, which needs no network; every link is checked
	$(BIN)/python docs/build.py

.PHONY: reference
reference: $(READY)  ## Write docs/reference anew, from the declarations of commands, steps, settings and documents
	$(BIN)/python docs/write_reference.py

.PHONY: picture
picture: $(READY)  ## Take the README's picture anew, of a terminal and a report; needs Chromium
	$(BIN)/python docs/picture.py $(DEMO) docs/pictures/first-look.png

.PHONY: fmt
fmt: $(READY)  ## Write the code as ruff would
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: check
check: lint types test  ## lint, types and test

.PHONY: protos
protos: $(READY)  ## Write the code of the service's messages anew, from service/proto
	$(BIN)/python service/generate.py

.PHONY: clean
clean:  ## Remove .venv, caches and the demo's photographs; the store in .imgflow stays
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find steps workflows cli client service images bench tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

##@ Containers

.PHONY: containers
containers: $(READY)  ## Container images, with docker, podman or buildah; images/build says what can be set
	PYTHON=$(BIN)/python images/build

.PHONY: build
build:  ## The notebook's and the image service's containers, for `make up`; needs Docker
	PYTHON=$(PYTHON) images/build api processor notebook

.PHONY: up
up:  ## Start MinIO, notebook and image service, and print where they are
	$(COMPOSE) up --detach --no-build
	@for try in $$(seq 60); do \
		$(COMPOSE) logs notebook 2>&1 | grep -q '/lab?token=' && break; sleep 1; done; true
	@echo "notebook: $$($(COMPOSE) logs notebook 2>&1 | grep -o 'http://127.0.0.1:8888/lab?token=[^ ]*' | tail -n 1)"
	@echo 'service:  http://127.0.0.1:8080 (HTTP), 127.0.0.1:50051 (gRPC)'

.PHONY: down
down:  ## Stop them; what was made stays in volumes
	$(COMPOSE) down

.PHONY: cluster
cluster: containers  ## Containers, Argo Workflows and chart into your kind, k3d or minikube cluster (not tried here)
	images/load
	charts/install

.PHONY: pins
pins: $(READY)  ## Pin what containers hold; ARGS=--upgrade takes the newest
	$(BIN)/python images/pin.py $(ARGS)
