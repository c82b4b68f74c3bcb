# Every verb a newcomer needs; each depends on what it uses and needs no other step.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development

# The release of pip to install with: empty for the one that Python brings (.ci/install tries others).
PIP ?=

# A lock is complete: it is installed as it is. With dependencies, pip resolves again, prefers a release newer
# than the lock's and refuses it for want of a hash. Modules are compiled when they are first imported: pip would
# compile the 16,000 of the Graph SDK, of which few are used.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
CHECK := $(BIN)/python -m pip check --disable-pip-version-check

# Each of the hundreds of processes that the tests start would compile every library anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup develop demo test bench lint bench-plots conformance screenshots lock clean

setup: $(RUNTIME)

develop: $(DEVELOPMENT)

$(RUNTIME): locks/runtime.txt locks/build.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Leaver needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv --clear $(VENV)
	$(if $(PIP),$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade '$(PIP)')
	$(INSTALL) --require-hashes -r locks/runtime.txt -r locks/build.txt
	$(INSTALL) --no-build-isolation -e .
	$(CHECK)
	touch $@

$(DEVELOPMENT): $(RUNTIME) locks/dev.txt
	$(INSTALL) --require-hashes -r locks/dev.txt
	$(CHECK)
	touch $@

demo: setup
	$(BIN)/leaver demo $(if $(KEEP),--keep)

test: develop
	$(BIN)/python -m pytest -n auto

lint: develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: develop
	$(BIN)/python -m benchmarks

# Pictures of cost against size in docs/pictures; takes some minutes on a quiet machine.
bench-plots: develop
	$(BIN)/python -m benchmarks.plots

# Suites whose data live in ../shared; says plainly when the folder is not there.
conformance: develop
	$(BIN)/python -m tests.conformance

# Every page of the console in every state, to be looked at; needs Debian's chromium. AXE=1 has axe judge each too.
screenshots: develop
	$(BIN)/python -m tests.builders.screenshots screenshots $(if $(AXE),--axe) $(PAGES)

# uv resolves for every platform; hashes are kept, no registry's address is written. Each lock is resolved under
# the constraints of the one before, so that one environment holds all three.
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q
lock:
	$(COMPILE) pyproject.toml -o locks/runtime.txt
	printf 'hatchling\neditables\n' | $(COMPILE) - -c locks/runtime.txt -o locks/build.txt
	$(COMPILE) pyproject.toml --extra dev -c locks/runtime.txt -c locks/build.txt -o locks/dev.txt

clean:
	rm -rf $(VENV) .demo
