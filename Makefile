# What a person types; `make` alone says what there is. Everything is installed into .venv, nothing elsewhere.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
DEMO   := .imgflow-demo
BENCH  := build/bench
ARGS   ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

##@ Use

.PHONY: demo
demo: $(READY)  ## Photographs through the pipeline on this machine, and a report to look at
	$(BIN)/python -m imgflow_cli.demo $(DEMO)
	$(BIN)/imgflow ingest $(DEMO) --municipality Demo
	$(BIN)/imgflow submit --municipality Demo

##@ Develop

.PHONY: setup
setup: $(READY)  ## Create .venv with everything that developing needs

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'imgflow needs Python 3.11 or newer, and $(PYTHON) is not; name one: make PYTHON=python3.12 $(MAKECMDGOALS)' >&2; \
		exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[demo]' --group dev
	@touch $@

# Hundreds of processes start; each would compile what it loads where no bytecode is kept.
.PHONY: test
test: $(READY)  ## Every test that can run here, none on a cluster unless IMGFLOW_REQUIRE asks; ARGS='-k name' picks some
	PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n auto --dist loadgroup $(ARGS)

.PHONY: e2e
e2e: $(READY)  ## Tests of the built containers, and of the cluster that KUBECONFIG names, one after another
	IMGFLOW_REQUIRE="$${IMGFLOW_REQUIRE:-containers,cluster}" $(BIN)/pytest -m "containers or cluster" $(ARGS)

.PHONY: lint
lint: $(READY)  ## Style, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

.PHONY: types
types: $(READY)  ## Static types
	$(BIN)/mypy

.PHONY: bench
bench: $(BENCH)/venv/.ready $(BENCH)/peers/.ready  ## How fast it is beside what others use; ARGS='--only single', ARGS=--quick
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
$(BENCH)/peers/.ready: pyproject.toml
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(@D)/bin/python -m pip install --quiet --group peers || true
	@touch $@

.PHONY: notebook
notebook: $(READY)  ## Execute docs/notebook.ipynb anew, with what it shows
	IMGFLOW_GOLDEN=rewrite $(BIN)/pytest -q tests/client/test_notebook.py

.PHONY: fmt
fmt: $(READY)  ## Write the code as ruff would
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: check
check: lint types test  ## lint, types and test

.PHONY: clean
clean:  ## Remove .venv, caches and the demo's photographs; the store in .imgflow stays
	rm -rf $(VENV) $(DEMO) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find steps workflows cli client images bench tests -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:  ## Say what there is
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

##@ Containers

.PHONY: containers
containers: $(READY)  ## Container images, with docker, podman or buildah; images/build says what can be set
	PYTHON=$(BIN)/python images/build

.PHONY: cluster
cluster: containers  ## Containers, Argo Workflows and chart into your kind, k3d or minikube cluster (not tried here)
	images/load
	charts/install

.PHONY: pins
pins: $(READY)  ## Pin what containers hold; ARGS=--upgrade takes the newest
	$(BIN)/python images/pin.py $(ARGS)
