# Two commands do everything on a fresh machine:  make demo   make test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RTX_VERSION := 1.7.1.116
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
export PIP_ROOT_USER_ACTION := ignore

.PHONY: demo test test-all check audit docs bench release setup clean

## the whole chain on a data set that it draws itself; ends with demo/report.html
demo: $(VENV)/.product
	$(BIN)/ssd-edge demo

## the tests, after setting up everything they need; those that take long are left to test-all
test: $(VENV)/.tests
	$(BIN)/pytest -n 2

## all of them: every release on the emulated GPU, every preset built by TensorRT-RTX in every precision
test-all: export SSD_EDGE_TEST_ALL := 1
test-all: test

## what a commit must pass besides the tests
check: $(VENV)/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(MAKE) --no-print-directory docs

## the documentation as a site: site/index.html; a warning is an error
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(VENV)/.tests
	$(BIN)/mkdocs build --quiet --strict

## known weaknesses of the packages that are installed; asks the network, and so stands outside of CI
audit: $(VENV)/.tests
	$(PIP) 'pip-audit>=2.7'
	$(BIN)/pip-audit --skip-editable --progress-spinner off

## speed and memory; says which figures of README and docs have moved
bench: $(VENV)/.tests
	$(BIN)/python -m bench

## wheel and sdist in dist/, each proved in an empty folder
release: $(VENV)/.tests
	$(BIN)/python -m tools.release

setup: $(VENV)/.tests

clean:
	rm -rf demo build dist site .pytest_cache .mypy_cache .ruff_cache

$(BIN)/pip:
	@$(PYTHON) -m venv $(VENV) || { \
	  echo "make: $(PYTHON) cannot make a virtual environment. On Debian, Ubuntu, JetPack: apt install python3-venv"; \
	  rm -rf $(VENV); exit 1; }

# The stamps are remade when pyproject.toml changes; an existing .venv is reused, and what it has is kept.
$(VENV)/.product: pyproject.toml | $(BIN)/pip
	$(PIP) --editable '.[train,export]'
	touch $@

$(VENV)/.tests: pyproject.toml tools/emulator/driver.cc tools/emulator/build.py | $(VENV)/.product
	$(PIP) --editable '.[train,eval,export,timm,label,openvino,docs,dev]'
# The stubs lie apart, as a folder "tensorrt" would look like the package; two of their lines are no Python.
	$(PIP) --no-deps --upgrade --target $(VENV)/stubs 'tensorrt-stubs==10.13.*'
	sed -i 's/\bin: list\[/inputs: list[/; s/channel_axis: int)/channel_axis: int = ...)/' $(VENV)/stubs/tensorrt_bindings/tensorrt.pyi
ifeq ($(shell uname -sm),Linux x86_64)
	$(PIP) --no-deps tensorrt-rtx-cu13-libs==$(RTX_VERSION) tensorrt-rtx-cu13-bindings==$(RTX_VERSION)
endif
	$(BIN)/python -m tools.emulator.build $(VENV)/emulator
	touch $@
