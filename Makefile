# Midwatch's doors. `make help` lists them; each target says what it does and installs what it needs.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := shim ledger demo tools .
UV_VERSION := $(shell sed -n 's/^uv==\([^ ]*\).*/\1/p' requirements.lock)
# The machine's own certificate store, as every other client on it uses.
export UV_SYSTEM_CERTS := 1

.PHONY: help install lock
help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

install: $(VENV)/.installed ## Install the locked Python workspace into .venv

$(VENV)/.installed: requirements.lock pyproject.toml $(wildcard */pyproject.toml)
	@$(PYTHON) tools/check_python.py
	@echo "Installing the locked Python packages into $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=-e ./%)
	@touch $@

lock: install ## Compile requirements.in into requirements.lock (add ARGS=--upgrade to move versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	  $(foreach name,midwatch midwatch-ledger midwatch-demo midwatch-tools midwatch-workspace,--no-emit-package $(name)) \
	  --custom-compile-command "make lock" $(ARGS) requirements.in -o requirements.lock
