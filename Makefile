# `make demo` and `make test` work on a fresh machine with Python 3.11, 3.12 or 3.13.

VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that runs and is of a supported version; override with `make PYTHON=...`.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null \
	&& { echo $$p; break; }; done)
# Tests run side by side, one thread each.
# Without the variable that nproc would take for the number of cores.
WORKERS ?= $(shell env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2)
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 HF_HUB_OFFLINE=1

.DEFAULT_GOAL := help

.PHONY: help
help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# --- installation ---------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found; name one: make PYTHON=/path/to/python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# uv takes a fifth of pip's time and asks the same index. Where it cannot be had or fails, pip does it. Both
# compile what they install: where Python may write no bytecode, each of hundreds of starts would do it again.
PIP := $(BIN)/python -m pip --disable-pip-version-check
INDEX = $${PIP_INDEX_URL:-$$($(PIP) config get global.index-url 2>/dev/null)}
UV = index="$(INDEX)"; $${index:+env UV_DEFAULT_INDEX="$$index"} $(BIN)/python -m uv pip install --python $(BIN)/python
define install
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(PIP) install --quiet uv || true
	@{ $(UV) --compile-bytecode -r $(1); } || { echo "uv did not do it: pip installs, which takes longer"; $(PIP) install -r $(1); }
	@{ $(UV) --no-deps -e workflow/logger; } || $(PIP) install --no-deps -e workflow/logger \
	|| echo "the lines of finished jobs are not installed: Snakemake shows its own"
endef

$(VENV)/.installed: requirements.lock workflow/logger/pyproject.toml | $(BIN)/python
	$(call install,requirements.lock)
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock workflow/logger/pyproject.toml | $(BIN)/python
	$(call install,requirements-dev.lock)
	@touch $@ $(VENV)/.installed

.PHONY: install install-dev
install: $(VENV)/.installed ## create .venv and install what running needs
install-dev: $(VENV)/.installed-dev ## the same and what developing needs

# --- running --------------------------------------------------------------------------------

.PHONY: demo
demo: install ## the whole graph on generated data, minutes on two cores
	$(BIN)/snakemake --cores all --config scale=demo

# --- checks ---------------------------------------------------------------------------------

.PHONY: test lint types unit graph e2e
test: install-dev ## lint, types, unit, numerics, graph, crash and end-to-end tests
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint types
	@$(MAKE) --no-print-directory unit graph e2e

lint: install-dev ## ruff, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/python -m tests.graph.lint_workflow

types: install-dev ## mypy
	$(BIN)/mypy

unit: install-dev ## unit, numerics and crash tests
	$(TEST_ENV) $(BIN)/python -m pytest tests -n $(WORKERS) -m "not slow and not gpu" --ignore=tests/graph --ignore=tests/e2e --ignore=tests/cluster

graph: install-dev ## what Snakemake plans and reruns
	$(TEST_ENV) $(BIN)/python -m pytest tests/graph -n $(WORKERS)

e2e: install-dev ## the demo from a clean checkout, twice, through snakemake and dvc
	$(TEST_ENV) $(BIN)/python -m pytest tests/e2e -n $(WORKERS) --dist loadfile -m "not slow"

.PHONY: test-slow test-gpu test-cluster
test-slow: install-dev ## what takes too long for `make test`
	$(TEST_ENV) $(BIN)/python -m pytest tests -m slow

test-cluster: install-dev ## trainings on a real SLURM of one node: needs root, slurm-wlm and munge
	@$(BIN)/python -m tests.cluster.single_node --check
	env -u OMP_NUM_THREADS $(BIN)/python -m pytest tests/cluster -m cluster -x

test-gpu: install-dev ## what needs a CUDA device
	$(BIN)/python -m pytest tests -m gpu

.PHONY: bench bench-gpu
bench: install ## the benchmarks of this project, each a ratio against a named peer
	$(BIN)/python -m benchmarks.run

bench-gpu: install ## the same on a GPU
	$(BIN)/python -m benchmarks.run --device cuda

# --- upkeep ---------------------------------------------------------------------------------

.PHONY: lock schema format clean
lock: install-dev ## pin the newest versions that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links -c requirements.lock --extra dev pyproject.toml -o requirements-dev.lock

schema: install ## write workflow/schemas/params.schema.json from the models
	$(BIN)/python -m pipeline_src.config.schema --write

format: install-dev ## format Python and Snakemake files
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

clean: ## remove what the pipeline made here (results, work, generated data), keep downloads
	rm -rf results work data/scenes .snakemake
