# Every target does its own set-up: a fresh clone needs no other command before it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
STAMP := $(VENV)/.scalarfid-setup
RUN := $(VENV)/bin/python
ARGS ?=

# uv does not read pip's settings. Whoever set pip up (by variable or by file) has set up these two commands with it.
once = $(eval $(1) := $(2))$($(1))
pip_file = $(shell $(PYTHON) -m pip config list 2>/dev/null | sed -n "s/^global\.$(1)='\(.*\)'$$/\1/p" | sed 's/\\n/ /g')
UV_FIND_LINKS ?= $(call once,UV_FIND_LINKS,$(or $(PIP_FIND_LINKS),$(call pip_file,find-links)))
UV_DEFAULT_INDEX ?= $(call once,UV_DEFAULT_INDEX,$(or $(PIP_INDEX_URL),$(call pip_file,index-url)))
UV_INDEX ?= $(call once,UV_INDEX,$(or $(PIP_EXTRA_INDEX_URL),$(call pip_file,extra-index-url)))
# pip takes the best version over all its indexes, uv by default the first index that has the name.
UV_INDEX_STRATEGY ?= unsafe-best-match
uv_setting = $(if $($(1)),$(1)='$($(1))')
UV_SETTINGS = $(foreach name,UV_FIND_LINKS UV_DEFAULT_INDEX UV_INDEX UV_INDEX_STRATEGY,$(call uv_setting,$(name)))

.PHONY: help setup train test test-all lint bench wheel clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv and install everything into it (again when pyproject.toml changes)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "scalarfid needs Python 3.11 or newer, $(PYTHON) is older: say which to use, as in make setup PYTHON=python3.12" >&2; exit 1; }
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null || test -x $(VENV)/bin/uv || { $(RUN) -m pip --version >/dev/null 2>&1 || \
		$(RUN) -m ensurepip >/dev/null; $(RUN) -m pip install --quiet uv; }
	@echo "installing into $(VENV)"
	@PATH="$(VENV)/bin:$$PATH" $(UV_SETTINGS) uv pip install --quiet --compile-bytecode --python $(RUN) -e '.[dev]'
	@touch $@

train: $(STAMP)  ## train a MACE with PAN+PGS on the ethanol set of this repository, in minutes
	@$(RUN) -m scalarfid.train +experiment=quick $(ARGS)

test: $(STAMP)  ## run the default tests (under five minutes on two cores)
	@$(RUN) -m pytest -n auto --maxprocesses=4 --dist loadfile $(ARGS)

test-all: $(STAMP)  ## run every test, the slow ones too, and keep the result in docs/test-all.txt
	@mkdir -p docs
	@{ echo "# make test-all, $$(date -u +%F), commit $$(git describe --always --dirty 2>/dev/null || echo unknown)"; \
		$(RUN) -m pytest -m "" $(ARGS); } 2>&1 | tee $(VENV)/test-all.txt
	@mv $(VENV)/test-all.txt docs/test-all.txt

lint: $(STAMP)  ## check style (ruff) and the direction of imports (import-linter)
	@$(RUN) -m ruff check .
	@$(VENV)/bin/lint-imports

bench: $(STAMP)  ## time training, calculators and probes beside the packages' own trainers and calculators
	@$(RUN) -m scalarfid.bench $(ARGS)

wheel: $(STAMP)  ## build dist/scalarfid-*.whl, configuration included
	@$(RUN) -m hatchling build -t wheel -d dist

clean:  ## remove .venv, caches and built files (never runs/)
	@rm -rf $(VENV) dist build .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
