# What one does with this project, each a target: `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test parity prepare-beam lint bench clean

VENV ?= .venv
PYTHON ?=
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PARITY ?= .venv-parity
PARITY_PYTHON ?=
PARITY_TORCH ?=
BEAM ?= .venv-beam
ARGS ?=

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables: VENV=$(VENV) (environment to use), PYTHON=... (python to make it with; default: the newest of 3.12, 3.11)"
	@echo "  of prepare-beam: BEAM=$(BEAM) (its environment), ARGS=..."
	@echo "  of parity: PARITY=$(PARITY), PARITY_PYTHON=... (default: 3.11, else 3.12), PARITY_TORCH='--index-url ...' (where pip finds a torch for CPUs)"

setup: $(INSTALLED) ## make .venv with pinned packages; done once, and again when the pins change

$(INSTALLED): pyproject.toml constraints/py311.txt constraints/py312.txt
	@set -e; \
	python=$(or $(PYTHON),$$(launch/find_python.sh)); \
	version=$$($$python -c 'import sys; print("%d%d" % sys.version_info[:2])'); \
	test -f constraints/py$$version.txt || { echo "$$python is no python 3.11 or 3.12"; exit 1; }; \
	echo "setting up $(VENV) with $$python (about 3 minutes)"; \
	$$python -m venv --clear $(VENV); \
	$(BIN)/pip install --disable-pip-version-check --quiet -c constraints/py$$version.txt -e '.[dev]'; \
	touch $@

demo: setup ## data, tokenizer, base model, instruction tuning, evaluation, report: on this machine's CPU (SEED=1: in runs/demo-seed1)
	VENV=$(VENV) launch/speedrun.sh

test: setup ## the fast tests, on two processes
	$(BIN)/python -m pytest -n 2 -m "not slow" --timeout 600

parity: $(PARITY)/.installed ## compare live with transformers and peft, in an environment of its own; writes runs/parity/table.md
	$(PARITY)/bin/python -m pytest tests/parity --ignore tests/parity/test_families.py -n 2 --timeout 600
	@# The table measures what test_families.py asserts, and fails where a bound does not hold.
	$(PARITY)/bin/python -m tests.parity.table runs/parity/table.md

# torch by itself and first: one meant for CPUs is a fraction of the size, and PARITY_TORCH may say where to find it.
$(PARITY)/.installed: pyproject.toml constraints/py311.txt constraints/py312.txt constraints/parity.txt
	@set -e; \
	python=$(or $(PARITY_PYTHON),$$(launch/find_python.sh 3.11 3.12)); \
	version=$$($$python -c 'import sys; print("%d%d" % sys.version_info[:2])'); \
	pins="-c constraints/py$$version.txt -c constraints/parity.txt"; \
	echo "setting up $(PARITY) with $$python (about 3 minutes)"; \
	$$python -m venv --clear $(PARITY); \
	$(PARITY)/bin/pip install --disable-pip-version-check --quiet $$pins $(PARITY_TORCH) torch; \
	$(PARITY)/bin/pip install --disable-pip-version-check --quiet $$pins -e '.[parity]'; \
	touch $@

prepare-beam: $(BEAM)/.installed ## prepare as an Apache Beam pipeline, in an environment of its own: ARGS='--gin_file=... -- --runner=...'
ifeq ($(ARGS),)
	@echo "$(BEAM) is ready; run a recipe of prepare with: make prepare-beam ARGS='--gin_file=RECIPE --gin.WORKDIR=... -- --runner=...'"
else
	$(BEAM)/bin/instruct-jax-beam $(ARGS)
endif

# Beam wants an older numpy and protobuf than the rest.
$(BEAM)/.installed: pyproject.toml constraints/beam.txt
	@set -e; \
	python=$(or $(PYTHON),$$(launch/find_python.sh 3.11 3.12)); \
	echo "setting up $(BEAM) with $$python (about 4 minutes)"; \
	$$python -m venv --clear $(BEAM); \
	$(BEAM)/bin/pip install --disable-pip-version-check --quiet -c constraints/beam.txt -e '.[beam]' pytest pytest-timeout pytest-xdist; \
	touch $@

lint: setup ## formatting and lint, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

bench: setup ## every script in benchmarks/
	@set -e; for file in $(sort $(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python "$$file"; done

clean: ## remove environments, caches and build outputs; runs/ stays
	rm -rf .venv .venv-* build dist *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
