# Each target does all set-up it needs. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help install demo test gpu wheels lab check lock clean

help:            ## list the targets
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install:         ## make .venv and install everything (again only when something changed)
	@$(PYTHON) install.py $(if $(WHEELS),--wheels $(WHEELS))

demo: install    ## the main job: captions, prediction, training, measurement, verdict, report
	@$(BIN)/smartclip demo

test: install    ## the tests
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

gpu: install     ## measure everything that needs an NVIDIA GPU; writes docs/gpu.md
	@$(BIN)/smartclip bench gpu --out docs/gpu.md

wheels:          ## fill wheels/; without a network, make WHEELS=wheels gpu installs from it
	@$(PYTHON) install.py --fill-wheels wheels

lab: install     ## JupyterLab with the first lesson
	@$(BIN)/jupyter lab notebooks/01_captions_to_verdict.ipynb

check: install   ## formatting, lint, types, layers
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/basedpyright

lock: install    ## renew requirements.lock (CUDA packages are left out: torch pins its own)
	@$(BIN)/uv pip compile --quiet --universal --all-extras --no-header --no-annotate \
	  pyproject.toml --output-file requirements.lock
	@sed -E '/^(nvidia-|cuda-|triton)/d' requirements.lock > requirements.tmp && mv requirements.tmp requirements.lock

clean:           ## remove the environment; runs and caches stay
	rm -rf .venv
