# Needs make and Python 3.11 or later, nothing else: every target first makes the virtual
# environment it runs in, from requirements.lock.
#
#   make run       start a node from config.toml; it prints where to talk to it
#   make test      the tests; some of them call in real time, so it takes minutes
#   make check     ruff, mypy, import-linter
#   make bench     the benchmarks, beside pykka's threads and bare trio channels
#   make soak      the long runs and many more Hypothesis examples
#   make lock      resolve requirements.lock anew from pyproject.toml, for all supported Pythons;
#                  keeps versions that still fit, `make lock UPGRADE=--upgrade` takes the newest
#   make clean     remove what these made
#
# Another Python: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
LOCK_VENV := .venv-lock
UPGRADE ?=
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help venv run test check bench soak lock clean

help:
	@sed -n '/^$$/q;s/^# \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/installed.stamp

# Begun afresh when the lock changes, so that what left the lock leaves the environment too.
$(VENV)/locked.stamp: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("Troupe needs Python 3.11 or later; name one: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@touch $@

# The build backend is locked as well: without isolation pip uses that one and fetches nothing.
$(VENV)/installed.stamp: $(VENV)/locked.stamp pyproject.toml
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

run: venv
	$(BIN)/troupe run --config config.toml

test: venv
	$(BIN)/python -m pytest -q

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: venv
	$(BIN)/python bench/run.py all

soak: venv
	TROUPE_SOAK=1 $(BIN)/python -m pytest -q -o faulthandler_timeout=3600

# uv resolves once for every Python and platform; pip alone can only lock for the one it runs on.
lock:
	test -x $(LOCK_VENV)/bin/uv || $(PYTHON) -m venv --clear $(LOCK_VENV)
	$(LOCK_VENV)/bin/python -m pip install --quiet 'uv>=0.9,<1'
	$(LOCK_VENV)/bin/uv pip compile pyproject.toml --all-extras --group dev --universal \
		--generate-hashes --custom-compile-command 'make lock' $(UPGRADE) \
		--quiet --output-file requirements.lock

clean:
	rm -rf $(VENV) $(LOCK_VENV) .bench-peers build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
