# `make train` and `make test` set up what they need in .venv, again only when pyproject.toml has changed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

.PHONY: train test bench mutations docs-pictures clean

train: .venv/.installed
	@$(BIN)/chainrule train digits --out runs/digits --force

test: .venv/.installed-test
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/ruff format --check src tests examples benchmarks
	$(BIN)/mypy
	$(BIN)/pytest
	NUMBA_DISABLE_JIT=1 $(BIN)/pytest tests/test_kernels.py

# All of it, or a part: make bench BENCH='--only W1,W3', make bench BENCH=--quick
bench: .venv/.installed-bench
	PYTHONPATH=benchmarks $(BIN)/python -m speed $(BENCH)

# Some 1,300 wrong backwards and 10,000 right ones given to cr.check, and to gradcheck where PyTorch is there.
mutations: .venv/.installed-test
	PYTHONPATH=benchmarks $(BIN)/python -m mutations $(MUTATIONS)

# The graphs in docs/, drawn by the library itself, and its pages, photographed in a browser where there is one.
docs-pictures: .venv/.installed-test
	$(BIN)/python docs/pictures/graphs.py
	$(BIN)/python docs/pictures/pages.py

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

# torch comes first, by its exact version: left to the extra, pip takes PyPI's newest build for Linux, which
# brings gigabytes of CUDA libraries that no benchmark here uses. The build without them is "+cpu", from where pip
# is set to look or else from PyTorch's own index. Then the extra finds torch there and fetches no other.
.venv/.installed-bench: pyproject.toml | .venv/bin/python
	@echo "Installing the peers (once; PyTorch and JAX, about 1 GB)"
	@$(PIP) torch==2.13.0+cpu 2>/dev/null || \
	  $(PIP) --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0
	@$(PIP) -e '.[bench]'
	@touch $@ .venv/.installed

clean:
	rm -rf .venv runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
