# Needs Python >= 3.10 and make; everything else goes into .venv, which belongs to this file: it is made anew when it is
# half-made, when it was moved, or when another PYTHON is asked for.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-all check bench clean FORCE

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# "interpreter folder" that .venv was made from; empty if its interpreter is gone.
MADE_FROM := $(shell $(BIN)/python -c '' 2>/dev/null && cat .venv/.made-from 2>/dev/null)
PYTHON ?= $(or $(firstword $(MADE_FROM)),python3)
# Of one process, two with files dealt out and two with work stealing, the last was the fastest (medians 7.1, 9, 6 s).
# Threads of BLAS in two processes on two cores wait for one another: 7 minutes instead of 5.
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' Makefile

demo: .venv/.core ## install what is needed and solve the example network
	$(BIN)/lipc solve examples/digits.onnx --center examples/digit_one.csv --radius 0.1 --clip 0 1

test: check ## style, types and the quick tests (about four minutes)
	$(PYTEST)

test-all: check ## style, types and all tests, the slow ones too
	$(PYTEST) -m ""

check: .venv/.dev ## style and types only
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/.core ## time lipc on the benchmark problems
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove .venv and everything that can be made again
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# .core and .dev are touched last: without them an installation was interrupted, and nothing in .venv is to be trusted.
# Editable installation needs pip >= 21.3; the first releases of Python 3.10 bring an older one.
.venv/.core: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
	  echo "lipc needs Python 3.10 or newer, and '$(PYTHON)' is not; name another one: PYTHON=python3.12 make demo" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' has no venv module; install it (Debian, Ubuntu: apt install python3-venv) or name another PYTHON" >&2; exit 1; }
	@echo "setting up .venv (takes a minute the first time)"
	@if [ ! -e $@ ] || [ "$(MADE_FROM)" != "$(PYTHON) $(CURDIR)" ]; then rm -rf .venv && $(PYTHON) -m venv .venv; fi
	@rm -f .venv/.core .venv/.dev
	@$(PIP) install 'pip>=21.3'
	@$(PIP) install -c constraints.txt -e .
	@echo "$(PYTHON) $(CURDIR)" > .venv/.made-from
	@touch $@

.venv/.dev: .venv/.core
	@echo "adding the tools for tests to .venv"
	@$(PIP) install -c constraints.txt -e '.[dev,examples]'
	@touch $@

ifneq ($(MADE_FROM),$(PYTHON) $(CURDIR))
.venv/.core: FORCE
endif
FORCE:
