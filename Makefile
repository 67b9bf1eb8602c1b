# make run   sets everything up and materialises the main job
# make test  sets everything up and passes the tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

TRAINERS := .venv-trainers

.PHONY: run test test-trainers lock-trainers ui bench lint clean lock setup

run: setup
	@$(BIN)/pipeline run

test: setup
	$(BIN)/pytest -n auto

# Every export loaded, prepared and trained on for a step by TRL itself, in an environment of its own. PyTorch is
# installed apart because its builds differ by machine; TORCH_OPTIONS may name where a CPU build is to be had.
test-trainers: $(TRAINERS)/.installed
	$(TRAINERS)/bin/python -m pytest assets_tests/trainers

$(TRAINERS)/.installed: assets_tests/trainers/requirements.lock pyproject.toml
	$(PYTHON) -m venv $(TRAINERS)
	$(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH_OPTIONS) torch==2.13.0
	$(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r assets_tests/trainers/requirements.lock
	$(TRAINERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# PyTorch and what its builds for graphics cards bring are left out: they come with PyTorch, if at all.
APART := torch triton cuda-bindings cuda-pathfinder cuda-toolkit $(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc cuda-runtime \
  cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
lock-trainers: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --upgrade --extra trainers --extra development $(addprefix --no-emit-package ,$(APART)) --generate-hashes \
	  --no-strip-extras --universal --python-version 3.11 --no-header --no-annotate -o assets_tests/trainers/requirements.lock pyproject.toml

ui: setup
	@$(BIN)/pipeline ui

bench: setup
	@set -e; for file in assets_tests/benchmarks/bench_*.py; do echo "== $$file"; $(BIN)/python "$$file"; done

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "python3 is needed and was not found"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name it with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

# Names, versions and hashes for every platform and Python from 3.11 on; no addresses.
lock: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --upgrade --extra development --generate-hashes --no-strip-extras --universal \
	  --python-version 3.11 --no-header --no-annotate -o requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) $(TRAINERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .tmp_dagster_home_*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
