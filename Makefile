# Needs make, git, and Python 3.11 or newer with pip. Everything goes into .venv; nothing else of the machine is touched.
#
#   make demo [KEEP=1] [DATA=tickets.csv.gz] [ROWS=500]   see what cxbridge does, against simulated vendors
#   make setup                                            everything for working on it
#   make test | lint | bench | bench-check
#   make soak [SOAK_MINUTES=120] [SOAK_ONLY=kills]        ten times the volume of the reliability tests, with a report

PYTHON := $(or $(PYTHON),$(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name)))))
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PINS := $(if $(wildcard constraints.txt),-c constraints.txt)

.PHONY: help demo setup test lint bench bench-check soak clean
.DELETE_ON_ERROR:

help:
	@sed -n '3,6s/^# *//p' Makefile

demo: $(VENV)/.ready
	@$(BIN)/cxbridge demo $(if $(KEEP),--keep) $(if $(DATA),--data "$(DATA)") $(if $(ROWS),--rows $(ROWS))

setup: $(VENV)/.ready-dev

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -q -n auto --dist worksteal $(TESTS)

lint: $(VENV)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

soak: $(VENV)/.ready-dev
	@CXBRIDGE_SOAK=$(or $(CXBRIDGE_SOAK),10) SOAK_MINUTES=$(or $(SOAK_MINUTES),120) SOAK_ONLY="$(SOAK_ONLY)" \
		$(BIN)/python -m tests.reliability.soak

bench: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks $(WHAT)

# Compares the ratios of the last `make bench` with the committed ones.
bench-check: $(VENV)/.ready-dev
	@$(BIN)/python -m benchmarks check

clean:
	rm -rf $(VENV) .demo

# The stamps are newer than what they were made from, so that a second run installs nothing.
$(VENV)/.ready: $(VENV)/bin/python pyproject.toml $(wildcard constraints.txt)
	@echo "installing cxbridge into $(VENV) …"
	@$(PIP) install $(PINS) -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "installing what development needs into $(VENV) …"
	@$(PIP) install $(PINS) -e '.[dev]'
	@touch $@

# Where the distribution keeps ensurepip in a package of its own, the pip that is there fills the environment instead.
$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "cxbridge needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV) \
		&& $(PYTHON) -m venv --without-pip $(VENV) && $(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; }
