# ablax: two commands are enough. `make help` lists the rest.
#   make experiment NAME=alexnet_ablation
#   make test

.DEFAULT_GOAL := help
SHELL := /bin/sh

NAME ?=
CONFIG ?=
ARGS ?=
DATA ?=
EXTRA ?=
FULL ?=
VENV ?= .venv
CONSTRAINTS ?= constraints.txt

# The newest Python that works: 3.11 or newer, able to make a virtual environment. pyenv's versions
# count, because JAX is faster on a newer Python and a shim on the PATH may point to none.
CANDIDATES = python3.14 python3.13 python3.12 python3.11 python3 python
OLDEST = python3.11
WORKS = import sys, venv, ensurepip, ssl; sys.exit(sys.version_info < (3, 11))
found = $(shell for name in $(1); do \
	for python in "$$(command -v $$name)" $$(ls -d "$$HOME"/.pyenv/versions/*/bin/$$name 2>/dev/null | sort -rV); do \
		if [ -n "$$python" ] && "$$python" -c '$(WORKS)' >/dev/null 2>&1; then echo "$$python"; exit; fi; \
	done; done)
ifndef PYTHON
PYTHON := $(call found,$(CANDIDATES))
endif

comma = ,
BIN = $(VENV)/bin
RUN = $(VENV)/.ready-to-run$(if $(EXTRA),-$(EXTRA))
DEV = $(VENV)/.ready-to-develop
PARITY = $(VENV)/.ready-for-parity

.PHONY: help setup experiment experiments list data test test-oldest test-newest test-slow test-deep mutation-test torture check format bench bench-layers bench-depth bench-input bench-result bench-scaling bench-stalls bench-workers bench-gpu parity clean distclean odd-weights sanitize odd-input wheel

help: ## what there is
	@echo "make experiment NAME=alexnet_ablation [CONFIG=digits] [ARGS=\"--train.epochs 3 --seeds 5\"]"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo
	@echo "PYTHON=... chooses the interpreter (now: $(or $(PYTHON),none found)), EXTRA=gpu or EXTRA=tpu the accelerator."

setup: $(RUN) ## install into .venv (EXTRA=gpu or EXTRA=tpu for an accelerator)

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "No Python 3.11 or newer that can make a virtual environment was found." >&2; \
		echo "Install one (on Debian also python3-venv), or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; \
		exit 2; fi
	@"$(PYTHON)" -c '$(WORKS)' || { echo "$(PYTHON) is older than 3.11 or cannot make a virtual environment" >&2; exit 2; }
	@echo "installing into $(VENV) with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv $(VENV)

$(RUN): $(VENV)/bin/python pyproject.toml $(CONSTRAINTS)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) --editable ".[cpu$(if $(EXTRA),$(comma)$(EXTRA))]"
	@$(BIN)/python -m ablax.native
	@touch $@

$(DEV): $(RUN)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) --editable ".[dev]"
	@touch $@

# torchvision has no build for a CPU alone: beside torch's it is installed without what it asks for.
$(PARITY): $(DEV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(CONSTRAINTS) --editable ".[parity]"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		torchvision==0.28.0 timm==1.0.31
	@touch $@

experiment: $(RUN) ## run NAME under CONFIG, or go on with it; ends with a table, plots and a report
	@$(BIN)/ablax run $(NAME) $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

experiments: $(RUN) ## run every experiment under CONFIG, their runs side by side
	@$(BIN)/ablax run $$(basename -a -s .py experiments/[!_]*.py) $(if $(CONFIG),--config $(CONFIG)) $(ARGS)

list: $(RUN) ## name the experiments, recipes and networks
	@$(BIN)/ablax list

data: $(RUN) ## download and prepare a set of tensorflow-datasets: make data DATA=cifar10
	@$(BIN)/python -m ablax.data.prepare $(DATA) --folder data

check: $(DEV) ## format, lint and types
	@$(BIN)/ruff format --check --quiet . || { echo "make format mends this"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary --cache-dir .mypy_cache/$(notdir $(VENV))

# Each program of a fast test runs once or twice, so XLA's expensive passes cost more than they gain;
# the slow tests have them.
test: check ## check, then the fast tests
	@JAX_DISABLE_MOST_OPTIMIZATIONS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow and not deep"

test-oldest: ## make test with the oldest Python and the oldest versions, in .venv-oldest
	@python="$(call found,$(OLDEST))"; \
	if [ -z "$$python" ]; then \
		echo "not checked: no Python $(OLDEST:python%=%) that can make a virtual environment was found"; \
	else \
		$(MAKE) --no-print-directory test PYTHON="$$python" VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt; \
	fi

# Without constraints: what pip finds today, whatever the tests were written with. What fails here
# fails for whoever installs ablax beside what is new.
test-newest: ## the fast tests with the newest versions that pip finds, in .venv-newest
	@rm -rf .venv-newest
	@$(MAKE) --no-print-directory .venv-newest/.ready-to-develop VENV=.venv-newest CONSTRAINTS=/dev/null
	@.venv-newest/bin/python -m pip list --disable-pip-version-check | grep -iE "^(jax|jaxlib|flax|optax|orbax-checkpoint|numpy) "
	@JAX_DISABLE_MOST_OPTIMIZATIONS=1 .venv-newest/bin/python -m pytest -q -n 2 -m "not slow and not deep" $(ARGS)

# Without the check of every shape and type at run time, which the fast tests make: a fifth faster.
test-slow: $(DEV) ## the slow tests
	@$(BIN)/python -m pytest -q -n 2 -m "slow and not deep" -o addopts="--strict-markers --strict-config"

test-deep: $(DEV) ## what CI leaves out: deeper networks compared and counted, runs killed at other times
	@$(BIN)/python -m pytest -q -n 2 -m deep -o addopts="--strict-markers --strict-config"

mutation-test: $(DEV) ## break the step, the optimizers and the statistics on purpose: each break is to be noticed
	@$(BIN)/python tests/mutations.py $(ARGS)

torture: $(DEV) ## cut the power of a run in many ways, with every sync and without each; kill it (strace, Linux)
	@$(BIN)/python tests/torture/power.py $(ARGS)
	@$(BIN)/python tests/torture/power.py --without-syncs $(ARGS)
	@$(BIN)/python tests/torture/kills.py

# XLA's interface of the oldest JAX that is supported: a handler built against a newer one than the
# JAX that calls it is registered, and then fails.
OLDEST_JAXLIB = $(shell sed -n 's/^jaxlib==//p' constraints-oldest.txt)
wheel: $(DEV) ## a wheel for Linux on x86-64, with the loops compiled for three levels of processors
	@rm -rf build/headers dist
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--target build/headers jaxlib==$(OLDEST_JAXLIB)
	@$(BIN)/python -m ablax.native build/headers/jaxlib/include
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist . \
		--config-settings=--build-option=--plat-name=manylinux_2_34_x86_64
	@rm -rf src/ablax/native/prebuilt
	@ls dist

odd-weights: $(DEV) ## import odd and hostile files of weights of every kind, watching time and memory
	@$(BIN)/python tests/weights/odd_weights.py $(ARGS)

sanitize: $(DEV) ## the loops in C++ under sanitizers, on 1,000 random geometries in each width of vectors
	@$(BIN)/python tests/native/sanitize.py $(ARGS)

odd-input: $(DEV) ## give every command wrong lines, thousands, and files of every odd kind
	@$(BIN)/python tests/odd/odd_input.py $(ARGS)

format: $(DEV) ## put the code in order
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

bench: $(DEV) ## time four networks on this machine (FULL=1: twelve, compiled PyTorch, Flax)
	@$(BIN)/python benchmarks/networks.py $(if $(FULL),--full) $(ARGS)

bench-layers: $(DEV) ## time single layers against plain XLA and PyTorch
	@$(BIN)/python benchmarks/layers.py $(ARGS)

bench-depth: $(DEV) ## compile time and memory of residual networks against depth, as loops and computed again
	@$(BIN)/python benchmarks/depth.py $(ARGS)

bench-input: $(DEV) ## images a second of augmentations and of the stream, beside training
	@$(BIN)/python benchmarks/input_path.py $(ARGS)

bench-result: $(DEV) ## a fresh clone to its first report: install, import, compile, train, report
	@$(BIN)/python benchmarks/time_to_result.py $(ARGS)

bench-scaling: $(DEV) ## the same training on 1, 2, 4, 8 forced devices and in two processes
	@$(BIN)/python benchmarks/scaling.py

bench-stalls: $(DEV) ## a trace of the training loop: does the device wait for checkpoints and evaluation?
	@$(BIN)/python benchmarks/stalls.py $(ARGS)

bench-workers: $(DEV) ## whole experiments with one worker and with two, and with many by simulation
	@$(BIN)/python benchmarks/workers.py $(ARGS)

bench-gpu: $(DEV) ## on a GPU (EXTRA=gpu): networks in bfloat16, seeds at once, time to 94 % on CIFAR-10
	@$(BIN)/python benchmarks/networks.py --gpu
	@$(BIN)/python benchmarks/seeds_at_once.py
	@$(BIN)/python benchmarks/time_to_accuracy.py
	@$(BIN)/ablax run alexnet_ablation --config cifar10 --seeds 5

parity: $(PARITY) ## compare our networks with torchvision's and timm's: same weights, same numbers
	@$(BIN)/python tests/parity/write_reference.py $(ARGS)

clean: ## remove caches of tools; results, data and .venv stay
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist src/*.egg-info
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv, .venv-oldest and .venv-newest too
	@rm -rf $(VENV) .venv-oldest .venv-newest
