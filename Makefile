# Every target works alone on a fresh machine; see `make help`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# TFX's packages choose Keras 2 at import time; one process must never see both.
export TF_USE_LEGACY_KERAS := 1
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help setup run test lint bench image lock clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## make .venv from requirements.lock
	@.ci/setup

run: setup ## set everything up and run the taxi pipeline to a pushed model (ARGS="..." goes to `taxiway run`)
	@$(BIN)/taxiway run $(ARGS)

test: setup ## set everything up and run the tests (ARGS="..." goes to pytest)
	@$(BIN)/python -m pytest $(ARGS)

lint: setup ## ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: setup ## the benchmarks; each prints ratios (minutes; wants a quiet machine)
	@$(BIN)/taxiway bench pipeline

image: setup ## the container image (ARGS="--base IMAGE ..." goes to it)
	@$(BIN)/python -m deploy.image $(ARGS)

lock: ## write requirements.lock anew from pyproject.toml: hashed, no download addresses
	@.ci/setup --tools-only
	@.tools/bin/uv pip compile --quiet --upgrade --python-version 3.10 --python-platform x86_64-manylinux_2_28 \
	  --generate-hashes --no-emit-index-url --extra dev --custom-compile-command "make lock" \
	  pyproject.toml -o requirements.lock

clean: ## remove what set-up and runs made (.venv, .tools, caches; not taxiway-root)
	@rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache *.egg-info build
