# Everything happens in .venv, which is made once and kept up to date with constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHELL := /bin/sh
OUT ?= runs/demo

.PHONY: help install demo test lint docs bench clean

help:
	@echo "make demo    install into .venv, pretrain, probe and fine-tune a small Point-MAE, write $(OUT)/report.html"
	@echo "make test    install into .venv, run linters, type checks and all tests"
	@echo "make lint    linters, type checks and the import law only"
	@echo "make docs    build docs/_build/html; warnings are errors"
	@echo "make bench   speed against named peers, in one thread and in all; writes benchmarks/README.md (CORA=planetoid:FOLDER/cora)"
	@echo "make clean   remove .venv, caches and built files; runs/ stays"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); sys.exit(0 if ok else "error: Python %d.%d found; expected 3.11, 3.12 or 3.13 (make PYTHON=python3.12 ... names another)" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	@touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/mm3d demo --out $(OUT)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

docs: $(VENV)/.installed-dev
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@touch $@

bench: $(VENV)/.installed-bench
	$(BIN)/python -m benchmarks $(if $(CORA),--cora $(CORA))

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis docs/_build build dist
