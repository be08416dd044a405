# The project's table of contents: `make` alone lists what there is.
#
# Needs: Python ≥ 3.11 with venv, and either Go ≥ 1.26 or internet access for the first `make setup`.
# Stamps remember what is done, so a second run is quick and needs no network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
OBTAINED := .tools/.obtained
READERS := .tools/.readers
EVALUATE := .tools/.evaluate
PINS := sidecar/resources/versions.py devtools/admissibility_devtools/tools/pins.py
LOCK_TOOLS := .cache/lock-tools
FUZZ := .cache/fuzz
SBOM := .cache/sbom
MUTANTS := .cache/mutants
FUZZED = PYTHONPATH=$(FUZZ)/lib $(BIN)/python -m tests.fuzz
SECONDS ?= 60
COUNT ?= 400
SIZES ?= 10,1000
GATE_WORKERS ?= 1
SEED ?= 1
RUNS ?= 200

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# A container that sets it would have each of hundreds of processes compile the product anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo up test quick lint types cover unit integration bench fuzz mutants breaks soak chaos examples kubernetes docs wheel sbom fmt reference proto lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- Use it --------------------------------------------------------------------------------------

setup: $(INSTALLED) $(OBTAINED) ## environment, OPA and Envoy; the other targets do it by themselves

demo: setup ## the whole story, told with real parts; exits 0 only if every scene ended as stated
	@$(BIN)/admit demo

up: setup ## the set-up in its admitted state, left running until interrupted
	@$(BIN)/admit demo --keep

# ---- Check it ------------------------------------------------------------------------------------

# The core's own tests come first, with its coverage; so the core runs once. Files are spread over the
# workers whole, so that an Envoy or an OPA that a file shares is started once, the longest first
# (tests/conftest.py); two workers more than processors, since tests wait for the processes they start,
# which those of the core do not.
PROCESSORS := $(shell getconf _NPROCESSORS_ONLN)
WORKERS ?= $(shell echo $$(( $(PROCESSORS) + 2 )))
SPREAD = --dist loadfile --no-loadscope-reorder
PYTEST = $(BIN)/python -m pytest -q -n $(WORKERS) $(SPREAD)
CORE = tests/unit/core

# mypy works on one processor; the core's tests use the other one meanwhile.
test: setup $(READERS) $(EVALUATE) ## everything that must hold: lint, types, every test, every branch of the core
	@$(MAKE) --jobs=2 lint types cover
	@$(PYTEST) --ignore=$(CORE)

quick: $(INSTALLED) ## the loop: unit tests only, no processes, a tenth of the examples
	@$(PYTEST) --hypothesis-profile quick -m 'not slow' tests/unit

lint: $(INSTALLED) ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(INSTALLED) ## mypy, strict
	@$(BIN)/mypy

cover: setup ## every branch of the core, exercised by the core's own tests
	@rm -f .coverage .coverage.*
	@$(BIN)/coverage run -m pytest -q -n $(PROCESSORS) $(SPREAD) $(CORE)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --fail-under=100 --skip-covered

unit: setup $(READERS) $(EVALUATE) ## tests without the end-to-end tests
	@$(PYTEST) --ignore=tests/e2e

integration: setup $(EVALUATE) ## tests through real Envoy and real OPA
	@$(PYTEST) tests/e2e

bench: setup ## calls a second and latency with and without the gate of GATE_WORKERS (1) processes (needs wrk); the state by SIZES (10,1000) of manifests
	@command -v wrk >/dev/null || { echo "bench: wrk is not on PATH; install it (Debian: apt-get install wrk)" >&2; exit 1; }
	@$(BIN)/python -m tests.bench --workers $(GATE_WORKERS)
	@$(BIN)/python -m tests.bench.large
	@$(BIN)/python -m tests.bench.size --sizes $(SIZES)
	@$(BIN)/python -m tests.bench.grown --sizes $(SIZES)

fuzz: setup $(FUZZ)/.installed ## a fuzzer on each parser, SECONDS (60) each; what it learns is kept
	@for target in $$($(FUZZED) list); do \
	  echo "fuzz: $$target, $(SECONDS) seconds"; $(FUZZED) $$target --seconds $(SECONDS); done

mutants: $(MUTANTS)/.installed ## COUNT (400) small changes of core and identity, drawn by SEED (1): do tests fail?
	@PYTHONPATH=$(MUTANTS)/lib $(BIN)/python -m tests.mutants --count $(COUNT) --seed $(SEED)

breaks: setup ## changes of single lines that would let a call pass unchecked, each caught by the tests named
	@$(BIN)/python -m tests.mutants.breaks

soak: setup ## 100,000 malformed requests, each refused with a code; 100,000 histories against the model
	@ADMIT_FLOOD=100000 $(BIN)/python -m pytest -q -s tests/process/service/test_flood.py
	@ADMIT_HISTORIES=100000 $(PYTEST) --dist load tests/unit/laws/test_histories.py

chaos: setup ## RUNS (200) of real processes under faults, drawn by SEED (1): is any answer unsafe?
	@$(BIN)/python -m tests.chaos --runs $(RUNS) --seed $(SEED)

examples: setup ## the programs in examples/, each run through Envoy; needs npm, Go and Maven for some
	@$(BIN)/python -m tests.process.examples.install
	@$(BIN)/python -m pytest -q -m 'examples or not examples' tests/process/examples

kubernetes: setup ## deploy/ for Kubernetes, read by the programs that read it there; builds them with Go
	@$(BIN)/python -m admissibility_devtools.tools --kubernetes
	@$(BIN)/python -m pytest -q -m 'kubernetes or not kubernetes' tests/process/kubernetes tests/e2e/gate/test_chart.py

docs: $(INSTALLED) ## the documentation site, built strictly into build/site; reads without a server
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "docs: build/site/index.html"

# With the time of the commit in place of the time of the build, so that the same commit gives the same bytes.
wheel: $(INSTALLED) ## the wheel, in dist/
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 315532800) \
	  $(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	@ls dist/*.whl

sbom: wheel $(SBOM)/.installed ## the wheel, and beside it the CycloneDX SBOM of its dependencies
	@$(BIN)/python -m admissibility_devtools.tools.sbom --python $(SBOM)/bin/python --dist dist

# ---- Change it -----------------------------------------------------------------------------------

fmt: $(INSTALLED) ## put every file into its one format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

reference: $(INSTALLED) ## generate every page that is made from code: commands, settings, metrics, operations, rules
	@$(BIN)/python -m admissibility_devtools.site.reference
	@$(BIN)/python -m tests.contract.operations.generate_page
	@$(BIN)/python -m tests.unit.envoy_extauthz_lint.generate_page
	@$(BIN)/admit policy docs

proto: $(INSTALLED) ## generate sidecar/_pb from proto/
	@$(BIN)/python -m admissibility_devtools.tools.protos

# With hashes and without an index, so the lock holds wherever the packages come from. The oldest
# Python resolves: what a newer one needs on top would be named by a marker.
COMPILE = CUSTOM_COMPILE_COMMAND='make lock' $(LOCK_TOOLS)/bin/pip-compile --upgrade --quiet \
  --generate-hashes --allow-unsafe --strip-extras \
  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

lock: $(LOCK_TOOLS)/.installed ## resolve dependencies anew into requirements*.txt, with hashes
	@echo "lock: resolving for development, for the image and for the SBOM (a minute or two)"
	@$(COMPILE) --extra demo --extra dev --build-deps-for editable -o requirements.txt pyproject.toml
	@$(COMPILE) --build-deps-for wheel -o requirements-runtime.txt pyproject.toml
	@$(COMPILE) -o devtools/sbom.txt devtools/sbom.in

clean: ## remove everything that setup, demo and tests made
	rm -rf $(VENV) .tools .demo .cache build dist mutants *.egg-info
	rm -rf .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- Stamps --------------------------------------------------------------------------------------

$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "setup: $(PYTHON) is older than 3.11; name another: make setup PYTHON=python3.12" >&2; exit 1; }
	@echo "setup: making the environment $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "setup: $(PYTHON) cannot make environments; install its venv package (Debian: python3-venv)" >&2; exit 1; }
	@echo "setup: installing the locked dependencies (a minute or two)"
	@$(BIN)/python -m pip install --require-hashes --progress-bar on -r requirements.txt
	@$(BIN)/python -m pip install --no-deps --no-build-isolation --quiet -e .
	@touch $@

$(OBTAINED): $(PINS) $(INSTALLED)
	@echo "setup: obtaining OPA and Envoy"
	@$(BIN)/python -m admissibility_devtools.tools
	@touch $@

$(READERS): $(PINS) $(OBTAINED)
	@echo "setup: obtaining Go and Node, whose parsers the tests compare the gate with, Regal and NATS server"
	@$(BIN)/python -m admissibility_devtools.tools --readers
	@touch $@

# Some 350 MB. Where it cannot be had, the tests that run suites are skipped, and the next run tries again.
$(EVALUATE): sidecar/evaluation/runner/requirements.txt $(INSTALLED)
	@echo "setup: installing Inspect AI, on which the tests run suites, into an environment of its own"
	@if $(BIN)/admit evaluate setup; then touch $@; \
	  else echo "setup: without Inspect AI the tests that run suites are skipped" >&2; fi

$(FUZZ)/.installed: tests/fuzz/requirements.txt $(INSTALLED)
	@echo "setup: installing the fuzzer"
	@rm -rf $(FUZZ)/lib
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: \
	  --target $(FUZZ)/lib -r $<
	@touch $@

$(MUTANTS)/.installed: tests/mutants/requirements.txt $(INSTALLED)
	@echo "setup: installing mutmut"
	@rm -rf $(MUTANTS)/lib
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: \
	  --target $(MUTANTS)/lib -r $<
	@touch $@

$(SBOM)/.installed: devtools/sbom.txt
	@echo "setup: installing the generator of the SBOM"
	@rm -rf $(SBOM)
	@$(PYTHON) -m venv $(SBOM)
	@$(SBOM)/bin/python -m pip install --quiet --require-hashes --no-deps --only-binary :all: -r $<
	@touch $@

$(LOCK_TOOLS)/.installed:
	@$(PYTHON) -m venv $(LOCK_TOOLS)
	@$(LOCK_TOOLS)/bin/python -m pip install --quiet 'pip-tools==7.6.2'
	@touch $@
