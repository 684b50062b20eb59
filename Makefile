# Every target works alone on a fresh machine; see `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# TFX's packages choose Keras 2 at import time; one process must never see both.
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL ?= 2

COMPILE = .tools/bin/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url \
  --custom-compile-command "make lock"

.PHONY: help setup run test lint docs bench image lock licenses clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## make .venv from the lock of this machine's stack (TAXIWAY_STACK=current|tf216 overrides)
	@.ci/setup

run: setup ## set everything up and run the taxi pipeline to a pushed model (ARGS="..." goes to `taxiway run`)
	@$(BIN)/taxiway run $(ARGS)

WORKERS ?= 2
test: ## set everything up and run the tests (WORKERS=1: in one process; ARGS="..." goes to pytest)
	@.ci/setup --all
	@$(BIN)/python -m pytest $(if $(filter-out 1,$(WORKERS)),--numprocesses $(WORKERS) --dist loadscope --no-loadscope-reorder) $(ARGS)

lint: setup ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: ## build the documentation with its API reference into site/, links checked
	@.ci/docs

bench: setup ## the benchmarks; each prints ratios (minutes; wants a quiet machine)
	@$(BIN)/taxiway bench pipeline

image: ## the container image (STACK=current|tf216, ARGS="--base IMAGE ..." goes to it)
	@.ci/setup --tools-only
	@.tools/bin/python -m deploy.image $(if $(STACK),--stack=$(STACK)) $(ARGS)

lock: ## write the locks anew from pyproject.toml, one for each stack and the docs': hashed, no download addresses
	@.ci/setup --tools-only
	@$(COMPILE) --extra dev --extra s3 --extra gs --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
	  pyproject.toml -o requirements-tf216.lock
	@$(COMPILE) --extra dev --extra s3 --extra gs --python-version 3.12 --universal pyproject.toml -o requirements-current.lock
	@sed -n '/^docs = \[/,/^\]/s/^ *"\([^"]*\)".*/\1/p' pyproject.toml | $(COMPILE) --python-version 3.11 --universal - \
	  -o requirements-docs.lock

licenses: setup ## write THIRD_PARTY_LICENSES.md anew from the installed packages; after `make lock`
	@$(BIN)/python -m deploy.third_party_licenses

clean: ## remove what set-up and runs made (.venv, .tools, site, caches; not taxiway-root)
	@rm -rf .venv .venv-docs .tools site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info build
