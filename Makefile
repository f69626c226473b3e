# Midwatch's doors. `make help` lists them; each target says what it does and installs what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := shim ledger demo tools .
WORKSPACE := midwatch midwatch-ledger midwatch-demo midwatch-tools midwatch-workspace
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
# What Python has compiled it may keep, whatever the machine says: hundreds of programs start in half
# the time. All of it is in folders that git ignores.
export PYTHONDONTWRITEBYTECODE :=
# The machine's own certificate store, as every other client on it uses.
export UV_SYSTEM_CERTS := 1

# For `make demo`: seconds until it ends by itself (none: until Ctrl-C), and the traffic's seed.
DURATION ?=
SEED ?= 7
# For `make test` and `make test-frameworks`: what pytest is told besides, e.g. ARGS="-k handoff", and
# the one framework to test. Most tests wait for programs more than they compute, so there are more
# workers than cores.
ARGS ?=
FRAMEWORK ?=
WORKERS ?= 4
# In the order of folders, after what takes longest (tests/conftest.py says what that is).
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: bench-collector bench-ledger help install programs demo down test test-fast test-frameworks test-cluster coverage bench incidents check format manifests rules dashboards reference docs lock frameworks-lock kubernetes-lock bench-lock collector-lock clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## Install the locked Python workspace into .venv

$(VENV)/.installed: requirements.lock pyproject.toml $(wildcard */pyproject.toml)
	@$(PYTHON) tools/check_python.py
	@echo "[install] the locked Python packages, into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $@

programs: install ## Find the pinned programs on PATH, or build them once into the cache
	@$(BIN)/midwatch-tools install

demo: install ## Run agents, the whole stack, an incident and its page (DURATION=120 ends by itself)
	@$(BIN)/python -m stack demo --seed $(SEED) $(if $(DURATION),--duration $(DURATION))

down: install ## Stop a demo that was left running
	@$(BIN)/python -m stack down

test: programs ## Run every test, real programs included
	@$(PYTEST) $(ARGS)

test-fast: install ## Run the tests that start no programs
	@$(PYTEST) -m "not programs" $(ARGS)

test-frameworks: install ## Test the shim with each framework, in locked environments (FRAMEWORK=crewai for one)
	@$(BIN)/python -m frameworks test $(FRAMEWORK:%=--framework %) -- $(ARGS)

test-cluster: programs ## Test the charts on a real Kubernetes of one node, without Docker (as root; ARGS="-k incident")
	@if [ -z "$${MIDWATCH_TEST_KUBECONFIG:-}" ] && $(BIN)/python -m cluster check; then \
	  $(BIN)/midwatch-tools install --group cluster >/dev/null; fi
	@$(BIN)/pytest --config-file=tests/cluster/pytest.ini tests/cluster $(ARGS)

coverage: install ## Measure how much of the shim the tests run, by lines and branches (95 % at least)
	@rm -rf build/coverage && mkdir -p build/coverage
	@COVERAGE_FILE=build/coverage/.coverage.main $(PYTEST) tests/unit/shim tests/unit/shim_* tests/contract \
	  --cov --cov-report= $(ARGS)
	@$(BIN)/python -m frameworks test --coverage build/coverage
	@$(BIN)/coverage combine --quiet --data-file build/coverage/.coverage build/coverage
	@$(BIN)/coverage report --data-file build/coverage/.coverage --fail-under 95

bench: install ## Measure what the shim costs, beside its peers (30 minutes; ARGS=--quick for a look)
	@$(BIN)/python -m tests.bench.suite $(ARGS)

bench-ledger: install ## Measure what a span costs the ledger, beside MLflow and Phoenix (ARGS=--quick for a look)
	@$(BIN)/python -m tests.bench.ledger.suite $(ARGS)

bench-collector: programs ## Measure the chart's collector: spans a CPU second, ten-minute outages (20 minutes; ARGS=--quick for a look)
	@$(BIN)/python -m tests.bench.collector.suite $(ARGS)

incidents: programs ## Run the incident suite: each fault to its page, on a real stack (hours; ARGS="--only NAME")
	@$(BIN)/python -m tests.bench.incident_suite $(ARGS)

check: install ## Check format, lint, types, layers and generated files
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@cd prometheus-rules && ../$(BIN)/python -m rulegen --check
	@$(BIN)/python grafana-dashboards/build.py --check
	@$(BIN)/python -m manifests --check
	@$(BIN)/python -m reference --check

format: install ## Format the Python code
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

manifests: install rules dashboards ## Render k8s/, the charts' generated files and the goldens
	@$(BIN)/python -m manifests

rules: install ## Derive thresholds, SLOs, escalations, heads of runbooks and the reference of alerts
	@cd prometheus-rules && ../$(BIN)/python -m rulegen

dashboards: install ## Build the Grafana dashboards from their builders
	@$(BIN)/python grafana-dashboards/build.py

reference: install ## Derive docs/reference from the registry and the settings
	@$(BIN)/python -m reference

lock: install ## Renew requirements.lock and the lock of Go (ARGS=--upgrade moves versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  $(WORKSPACE:%=--no-emit-package %) --custom-compile-command "make lock" $(ARGS) \
	  requirements.in -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  --custom-compile-command "make lock" $(ARGS) tools/programs/go.in -o tools/programs/go.lock

frameworks-lock: install ## Renew the locks of the frameworks' environments (FRAMEWORK=crewai for one, ARGS=--upgrade)
	@$(BIN)/python -m frameworks lock $(FRAMEWORK:%=--framework %) -- $(ARGS)

kubernetes-lock: install ## Renew the locks of the older Kubernetes clients (ARGS=--upgrade moves versions)
	@$(BIN)/python tests/render/older_kubernetes.py $(ARGS)

bench-lock: install ## Renew the locks of the benchmark's peers (ARGS="-- --upgrade" moves versions)
	@$(BIN)/python -m tests.bench.locks $(ARGS)

collector-lock: install ## Resolve the collector manifest into its go.mod and go.sum
	@$(BIN)/midwatch-tools lock-collector

clean: ## Remove what was made in this folder (the cache of built programs stays)
	@rm -rf $(VENV) .stack build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
