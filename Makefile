# `make train` and `make test` set up what they need in .venv, again only when pyproject.toml or the C library's
# sources have changed.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check

BUILT_FROM := pyproject.toml hatch_build.py src/chainrule/native/build.py $(wildcard src/chainrule/native/*.[ch])

.PHONY: train test test-peers test-lowest bench mutations docs-pictures sanitize sanitize-some wheel clean

train: .venv/.installed
	@$(BIN)/chainrule train digits --out runs/digits --force

# Without the C library, the tests would pass on NumPy and prove nothing of it.
test: export CHAINRULE_NATIVE = require
# Bytecode is kept even where the environment says otherwise: each process would compile all that it imports.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/.installed-test
	$(BIN)/ruff check src tests examples benchmarks docs hatch_build.py
	$(BIN)/ruff format --check src tests examples benchmarks docs hatch_build.py
	$(BIN)/mypy
	$(BIN)/pytest -n auto --dist worksteal
	@$(MAKE) --no-print-directory sanitize-some

# chainrule beside PyTorch and JAX: the same trainings, and checks of what is written for these. It fails where tests
# are skipped, or fewer ran than tests/peers/conftest.py says.
test-peers: export CHAINRULE_NATIVE = require
test-peers: .venv/.installed-test .venv/.installed-peers
	$(BIN)/pytest tests/peers

# The estimators on the lowest minor versions of scikit-learn, and of what it meets, that pyproject.toml allows.
LOWEST := $(shell sed -nE 's/^ +"(numpy|scipy|scikit-learn|pandas|pytest)>=([0-9.]+)",$$/\1==\2.*/p' pyproject.toml)
test-lowest: export CHAINRULE_NATIVE = require
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/pytest tests/test_sklearn_*.py

# All of it, or a part: make bench BENCH='--only W1,W3', make bench BENCH=--quick
bench: .venv/.installed-bench
	PYTHONPATH=benchmarks $(BIN)/python -m speed $(BENCH)

# Some 1,300 wrong backwards and 10,000 right ones given to cr.check, and to gradcheck where PyTorch is there.
# Fused kernels and mutants of them, where PyTorch is there: make mutations MUTATIONS=--kernels
mutations: .venv/.installed-test
	PYTHONPATH=benchmarks $(BIN)/python -m mutations $(MUTATIONS)

# The graphs in docs/, drawn by the library itself, and its pages, photographed in a browser where there is one.
docs-pictures: .venv/.installed-test
	$(BIN)/python docs/pictures/graphs.py
	$(BIN)/python docs/pictures/pages.py

# The machine under AddressSanitizer and UndefinedBehaviorSanitizer, in a copy of the sources. EXAMPLES=100 tries a
# hundred times as many random tables and graphs.
SANITIZED := build/sanitized
EXAMPLES := 1
SANITIZED_TESTS := $(wildcard tests/test_machine*.py) tests/test_program.py tests/test_program_calls.py
sanitize: export CHAINRULE_NATIVE = require
sanitize: .venv/.installed-test $(SANITIZED)/.built
	@tar -cf - --exclude='_machine.*' --exclude=_build.json src | tar -xf - -C $(SANITIZED)
	LD_PRELOAD="$$(cc -print-file-name=libasan.so) $$(cc -print-file-name=libubsan.so)" PYTHONPATH=$(SANITIZED)/src \
	  ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc CHAINRULE_EXAMPLES=$(EXAMPLES) \
	  $(BIN)/pytest -n auto -p no:cacheprovider $(SANITIZED_TESTS) -k "not allocated_once"

# It takes a minute: made again only where what it is built from has changed.
$(SANITIZED)/.built: $(BUILT_FROM) .venv/.installed-test
	@rm -rf $(SANITIZED) && mkdir -p $(SANITIZED) && cp -r src hatch_build.py $(SANITIZED)
	@echo "Building the library with AddressSanitizer and UndefinedBehaviorSanitizer"
	@CHAINRULE_CFLAGS="-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	  $(BIN)/python $(SANITIZED)/hatch_build.py > /dev/null
	@touch $@

# A share of it, where the compiler can.
sanitize-some:
	@if echo 'int main(void) { return 0; }' | cc -fsanitize=address,undefined -x c - -o /dev/null 2> /dev/null; then \
	  $(MAKE) --no-print-directory sanitize EXAMPLES=0.1 SANITIZED_TESTS="tests/test_machine.py tests/test_machine_graphs.py"; \
	else echo "not tried: the machine under AddressSanitizer, which this compiler lacks"; fi

# For this machine's platform, and any Python 3.
wheel: | .venv/bin/python
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "chainrule needs Python 3.11 or newer; say which one: make PYTHON=python3.12 train"; exit 1; }
	@echo "Setting up .venv (once; about a minute)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.installed: $(BUILT_FROM) | .venv/bin/python
	@$(PIP) -e . || { echo "Without a C compiler, and without ziglang: chainrule will run on NumPy"; \
	  CHAINRULE_NATIVE=off $(PIP) -e .; }
	@touch $@

.venv/.installed-test: $(BUILT_FROM) | .venv/bin/python
	@$(PIP) -e '.[test]'
	@touch $@ .venv/.installed

.venv-lowest/.installed: $(BUILT_FROM)
	@test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/pip install --quiet --disable-pip-version-check -e '.[dask]' $(LOWEST)
	@touch $@

# torch comes first, by its exact version: left to the extra, pip takes PyPI's newest build for Linux, which
# brings gigabytes of CUDA libraries that no benchmark here uses. The build without them is "+cpu", from where pip
# is set to look or else from PyTorch's own index. Then the extra finds torch there and fetches no other.
.venv/.installed-peers: | .venv/bin/python
	@echo "Installing PyTorch and JAX (once; about 900 MB)"
	@$(PIP) torch==2.13.0+cpu 2>/dev/null || \
	  $(PIP) --extra-index-url https://download.pytorch.org/whl/cpu torch==2.13.0
	@$(PIP) jax jaxlib
	@touch $@

.venv/.installed-bench: $(BUILT_FROM) .venv/.installed-peers | .venv/bin/python
	@echo "Installing what else the benchmarks need (once)"
	@$(PIP) -e '.[bench]'
	@touch $@ .venv/.installed

clean:
	rm -rf .venv .venv-lowest dist runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
