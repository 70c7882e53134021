# `make help` lists what there is.  Everything lives in .venv (and .uv, when the machine has no uv).
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# The machine's uv, when it is new enough to build the engine as pyproject.toml says; else our own.
UV := $(shell uv pip install --help 2>/dev/null | grep -e --config-settings-package >/dev/null && echo uv || echo .uv/bin/uv)
OWN_UV := $(filter .uv/bin/uv,$(UV))
INSTALL := $(UV) pip install --quiet --python $(VENV) --require-hashes --no-deps
PLUGINS := $(wildcard plugins/*)
PROJECTS := . core $(PLUGINS)
PYPROJECTS := pyproject.toml core/pyproject.toml $(PLUGINS:%=%/pyproject.toml)
PACKAGES := swarmgate swarmgate-core $(subst _,-,$(PLUGINS:plugins/%=swarmgate-%))
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
# Containers like to set it: each of the many processes that tests start would compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

##### Setting up

.PHONY: setup setup-engine
setup: $(STAMPS)/workspace $(STAMPS)/dev ## Everything for development, except the compiled engine (seconds)

setup-engine: $(STAMPS)/workspace $(STAMPS)/engine $(STAMPS)/demo ## Compile the engine with RPC (minutes, once) and bring the demo's weights

.uv/bin/uv: requirements/uv.txt
	@scripts/bring_uv.sh $(PYTHON)

$(VENV)/pyvenv.cfg: | $(OWN_UV)
	@$(UV) venv --quiet --python '>=3.11' $(VENV)

$(STAMPS):
	@mkdir -p $@
$(STAMPS): $(VENV)/pyvenv.cfg

$(STAMPS)/runtime: requirements/runtime.txt | $(STAMPS)
	@echo "· installing what the gateway needs"
	@$(INSTALL) -r $<
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/runtime
	@echo "· installing the tools of development"
	@$(INSTALL) -r $<
	@touch $@

$(STAMPS)/workspace: $(PYPROJECTS) requirements/build.txt $(STAMPS)/runtime
	@echo "· installing the gateway and its plugins from this folder"
	@$(UV) pip install --quiet --python $(VENV) --no-deps --build-constraints requirements/build.txt $(PROJECTS:%=--editable ./%)
	@touch $@

$(STAMPS)/engine: requirements/engine.txt requirements/build.txt pyproject.toml scripts/build_engine.py $(STAMPS)/runtime
	@$(BIN)/python scripts/build_engine.py $(UV)
	@touch $@

$(STAMPS)/demo: requirements/demo.txt $(STAMPS)/runtime
	@echo "· bringing the demo's weights"
	@$(INSTALL) -r $<
	@touch $@

$(STAMPS)/fuzz: requirements/fuzz.txt $(STAMPS)/runtime
	@echo "· installing the fuzzer"
	@$(INSTALL) -r $<
	@touch $@

$(STAMPS)/docs: requirements/docs.txt $(STAMPS)/runtime
	@echo "· installing what makes the site"
	@$(INSTALL) -r $<
	@touch $@

##### Using it

.PHONY: run
run: setup-engine ## Serve on 127.0.0.1:8080; the first time brings all it needs (ARGS="--help" and the like are passed on)
	@exec $(BIN)/gateway run $(ARGS)

##### Checking it

# Two files at a time, those that take long first (conftest.py); ARGS="-n 0 --pdb" runs them in one process.
PYTEST = $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: test test-fast check fix docs fuzz bench bench-split bench-routers bench-uneven bench-tunnels bench-swarm simulate soak
test: setup setup-engine ## Run all tests
	@$(PYTEST) $(ARGS)

test-fast: setup ## Run the tests that need no engine and no foreign clients
	@$(PYTEST) -m 'not engine and not clients' $(ARGS)

check: setup ## Check form, types, imports and pins
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/pyright
	@$(BIN)/mypy tests/typing/author.py
	@$(BIN)/python scripts/pins_agree.py
	@$(BIN)/python scripts/installed_agree.py $(UV)

fix: setup ## Format, and mend what can be mended by machine
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

docs: setup $(STAMPS)/docs ## Write the documentation as a site into site/ (ARGS="serve" shows it while it is written)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs $(or $(ARGS),build)
	@test -n "$(ARGS)" || echo "· the site is site/index.html"

fuzz: setup $(STAMPS)/fuzz ## Throw bytes at whatever reads a stranger's (ARGS="--seconds 60 token"; two minutes)
	@$(BIN)/python scripts/fuzz.py $(ARGS)

bench: setup setup-engine ## Measure against llama-server (minutes; docs/benchmarks.md)
	@$(BIN)/python bench/run.py $(ARGS)

bench-split: setup setup-engine ## Measure a model split over workers, and what deaths cost (minutes)
	@$(BIN)/python bench/split.py $(ARGS)

bench-routers: setup ## Measure beside routers from PyPI (ARGS="--rivals FOLDER"; minutes)
	@$(BIN)/python bench/routers.py $(ARGS)

bench-uneven: setup ## Measure balancers over machines of 1:2:8 beside other routers (ARGS="--rivals FOLDER"; minutes)
	@$(BIN)/python bench/uneven.py $(ARGS)

bench-tunnels: setup ## Measure the swarm's tunnels beside bare TLS and TCP (minutes)
	@$(BIN)/python bench/tunnels.py $(ARGS)

bench-swarm: setup ## Measure how soon members join and are missed, and what they cost idle (minutes)
	@$(BIN)/python bench/swarm.py $(ARGS)

simulate: setup ## Compare the balancers in virtual time (minutes; docs/benchmarks.md)
	@$(BIN)/python bench/simulate.py $(ARGS)

soak: setup ## Keep a gateway under mixed load and see that it stays as small (ten minutes; ARGS="--seconds 60")
	@$(BIN)/python bench/soak.py $(ARGS)

##### The Swarm page, whose build is committed: nobody needs node to use it

.PHONY: page
page: ## Check the page's sources and build them into the core (needs npm)
	@cd page && npm ci --silent && npm run --silent check && npm run --silent build
	@ls -l core/src/swarmgate/http/page

##### Releasing it

.PHONY: wheels engine-wheel changelog pins clean
wheels: engine-wheel | $(OWN_UV) ## Build every distribution into dist/, and the engine, for machines without a compiler
	@rm -rf dist
	@$(foreach project,$(PROJECTS),$(UV) build --quiet --wheel --build-constraints requirements/build.txt --out-dir dist $(project) &&) true
	@cp build/engine/*.whl requirements/demo.txt dist
	@$(PYTHON) scripts/wheels_list.py dist
	@ls -l dist

engine-wheel: ## Compile the engine alone, for any processor of this one's family, into build/engine/
	@$(PYTHON) scripts/engine_wheel.py build/engine

changelog: setup ## Show what the next release's notes would say
	@$(BIN)/towncrier build --draft --version next

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-annotate --custom-compile-command 'make pins' $(PINS)
pins: | $(OWN_UV) ## Write requirements/*.txt anew (PINS=--upgrade takes newer versions)
	@$(COMPILE) $(PACKAGES:%=--no-emit-package %) --no-emit-package llama-cpp-python --no-emit-package fastecdsa $(PYPROJECTS) -o requirements/runtime.txt
	@$(COMPILE) --group pyproject.toml:dev --constraints requirements/runtime.txt -o requirements/dev.txt
	@for given in requirements/*.in; do $(COMPILE) --constraints requirements/runtime.txt \
	  $$(grep -q '^# alone' $$given && echo --no-deps) $$given -o $${given%.in}.txt; done

clean: ## Remove everything made here
	@rm -rf $(VENV) .uv build dist site .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
