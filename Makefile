# Two commands do everything: `make run` and `make test`. `make help` lists the others.

VENV   := .venv
BIN    := $(VENV)/bin
PYTHON ?= python3
# How long the tests that start a real relay may take before they are killed, in seconds.
LIMIT  := 1500

.DEFAULT_GOAL := help
.PHONY: help run test unit integration e2e lint format bench torture lock mariadb rhino clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/installed  ## install what the relay needs and start it here, in the foreground
	exec $(BIN)/twistd -n --pidfile= relay $(ARGS)

test: mariadb rhino lint unit integration e2e  ## install what the tests need, then run lint, types and all tests

unit: $(VENV)/installed-dev  ## tests without a network: in memory, on a clock of their own
	timeout -k 10 $(LIMIT) $(BIN)/python -m pytest -p no:twisted tests/unit $(TESTARGS)

integration: mariadb $(VENV)/installed-dev  ## tests of a real relay on real sockets and databases
	timeout -k 10 $(LIMIT) $(BIN)/python -m pytest --reactor=default tests/integration $(TESTARGS)

e2e: rhino $(VENV)/installed-dev  ## tests of the phone's own script in Rhino, with a real relay
	timeout -k 10 $(LIMIT) $(BIN)/python -m pytest -p no:twisted tests/e2e $(TESTARGS)

lint: $(VENV)/installed-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev  ## put the code into the one format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev  ## measure against a bare Twisted server; writes docs/performance.md
	$(BIN)/python -m benchmarks $(ARGS)

torture: $(VENV)/installed-dev  ## kill relays under load, 1,000 times, and check that nothing is lost
	$(BIN)/python -m tests.torture --done .torture-done $(ARGS)

lock: $(VENV)/installed-dev  ## choose the newest versions of everything for development
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --extra dev \
	    --python-version 3.11 --output-file requirements-dev.lock pyproject.toml

mariadb:  ## install MariaDB's programs where they are missing; the tests start it themselves
	sh tools/install-mariadb

rhino:  ## install the JavaScript engine of the app where it is missing; the tests run the phone's script in it
	sh tools/install-rhino

clean:  ## remove what these commands made, but not the relay's state
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage* _trial_temp*
	rm -f twisted/plugins/dropin.cache
	find relaytw tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/bin/pip:
	PYTHON=$(PYTHON) sh tools/make-venv $(VENV)

$(VENV)/installed: pyproject.toml requirements-dev.lock | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements-dev.lock -e .
	touch $@

$(VENV)/installed-dev: pyproject.toml requirements-dev.lock | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c requirements-dev.lock -e '.[dev]'
	touch $@ $(VENV)/installed
