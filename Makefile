# Kontaktcenter. `make run` and `make test` are all that most people need; `make help` lists the rest.
# What has been set up once is not set up again: each stamp file depends on what it was made from.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
LOAD := .venv-load
BIN := $(VENV)/bin
REPORT := .report
DATA ?= data
PIP := -q --disable-pip-version-check --no-input -c constraints.txt
PYTEST_WORKERS ?= 2
BENCH ?=
LOADTEST ?=
MADE_FROM := pyproject.toml constraints.txt hatch_build.py
PO := $(wildcard */locale/*/LC_MESSAGES/*.po)

.PHONY: help run run-kafka setup setup-test setup-check test check faults bench loadtest format docs constraints wheel clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

run: setup ## start the demonstration: the recorded crisis on the board
	@exec $(BIN)/kontaktcenter demo

run-kafka: $(VENV)/.lab ## the same on a real Kafka: a broker and two nodes, without Docker
	@exec $(BIN)/python -m deploy.kafka_lab

setup: $(VENV)/.run ## make .venv with what the product needs
setup-test: $(VENV)/.test $(LOAD)/.load system-parts
setup-check: $(VENV)/.test

# The first Python of 3.11 or later that can make environments.
$(VENV)/bin/python:
	@found=; for p in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$p; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Kontaktcenter needs Python 3.11 or later with venv. On Debian: apt-get install python3 python3-venv" >&2; exit 1; \
	fi; \
	echo "· making $(VENV) with $$($$found --version)"; \
	$$found -m venv $(VENV)

$(VENV)/.run: $(MADE_FROM) $(PO) | $(VENV)/bin/python
	@echo "· installing the product's packages (about half a minute the first time)"
	@$(BIN)/pip install $(PIP) hatchling babel
	@$(BIN)/pip install $(PIP) --no-build-isolation -e .
	@touch $@

$(VENV)/.test: $(VENV)/.run
	@echo "· installing the packages for tests and checks"
	@$(BIN)/pip install $(PIP) --no-build-isolation -e '.[test,check]'
	@touch $@

# What fetches and runs Kafka. Without them a Java of the system and Maven do it.
$(VENV)/.lab: $(VENV)/.run
	@echo "· installing the packages that fetch and run Kafka"
	@$(BIN)/pip install $(PIP) --no-build-isolation -e '.[lab,fast]' || echo "· without them: the system's Java and Maven are tried" >&2
	@touch $@

# Locust brings Flask and gevent, which patches the world: an environment of its own.
$(LOAD)/.load: constraints.txt | $(VENV)/bin/python
	@echo "· making $(LOAD) for the load tests"
	@$(BIN)/python -m venv $(LOAD)
	@$(LOAD)/bin/pip install $(PIP) locust
	@touch $@

.PHONY: system-parts
system-parts:
	@.ci/system-parts

test: setup-test ## every test that a fresh machine can run (minutes)
	@mkdir -p $(REPORT)
	@$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist loadgroup -q -rsxX --junitxml=$(REPORT)/test.xml $(PYTEST)

check: setup-check ## format, lint, types, layers and the house's own rules (under a minute)
	@echo "· format";  $(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --check .; exit 1; }
	@echo "· lint";    $(BIN)/ruff check --quiet .
	@echo "· types";   $(BIN)/mypy --no-error-summary
	@echo "· layers";  $(BIN)/lint-imports --no-logo 2>&1 | grep -vE '^(=|-|$$)' || { $(BIN)/lint-imports; exit 1; }
	@echo "· house";   $(BIN)/python -m pytest tests/house -q -p no:randomly -m "not slow" $(PYTEST)

faults: setup-test ## the whole of every fault suite (long; much of it as root)
	@mkdir -p $(REPORT)
	@$(BIN)/python -m pytest -m fault --whole --timeout=3600 -q -rsxX --junitxml=$(REPORT)/faults.xml $(PYTEST)

bench: setup-check ## measure, with machine and date; BENCH="kafka board" for parts of it
	@$(BIN)/python -m tests.bench $(BENCH)

loadtest: $(VENV)/.lab $(LOAD)/.load ## a short surge against a server of its own, with its verdict
	@$(BIN)/python -m loadtests.run --locust $(LOAD)/bin/locust --server $(BIN)/kontaktcenter $(LOADTEST)

format: setup-check ## let ruff set the lines and mend what it can
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

docs: setup-check ## write the generated pages anew
	@PYTHONPATH=.:tests $(BIN)/python -m tests.generated

constraints: ## pin anew what clean environments get today
	@.ci/constraints

wheel: setup-check ## build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel

clean: ## remove what was set up and made, but never data/
	@rm -rf $(VENV) $(LOAD) $(REPORT) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
	  .import_linter_cache loadtests/results
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} + ; find . -name '*.mo' -not -path './.git/*' -delete
	@echo "· clean; data/ is left alone"
