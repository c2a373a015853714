# `make train` and `make test` set up what they need in .venv, again only when pyproject.toml has changed.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: train test lint clean

train: .venv/.installed
	@$(BIN)/chainrule train digits --out runs/digits --force

test: .venv/.installed-test
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/ruff format --check src tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/pytest

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chainrule needs Python 3.11 or newer; say which one: make PYTHON=python3.12 train"; exit 1; }
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.installed: pyproject.toml | .venv/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.installed-test: pyproject.toml | .venv/bin/python
	@$(BIN)/pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@ .venv/.installed

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
