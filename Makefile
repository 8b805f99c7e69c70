# `make demo` shows the main job; `make test` runs every test; `make check` is what a change must pass.
# Everything lives in .venv and the usual caches; each target may be run again at any time.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
BIN := .venv/bin
ARGS ?=

.PHONY: help venv demo test check docs format clean

help:  ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

venv: .venv/.complete  ## make .venv with .venv/bin/labctl

.venv/.complete: pyproject.toml src/labctl/__init__.py
	@bash scripts/make-venv.sh

demo: venv  ## fine-tune, serve and verify stage2-finetune, end to end
	@bash scripts/demo.sh

test: venv  ## every test; leave some out with ARGS='-m "not slow"'
	@$(BIN)/pytest $(ARGS)

check: venv  ## format, lint (Dockerfiles too), types, import contracts, docs freshness
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/hadolint docker/*/Dockerfile
	@bash scripts/check-manifests.sh
	@bash scripts/check-playbooks.sh
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/labctl lab validate

docs: venv  ## write the generated pages of docs/ anew
	@$(BIN)/python docs/generate.py

format: venv  ## mend what ruff can mend
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:  ## remove .venv and caches of the tree (not ~/.local/share/labctl)
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist build
