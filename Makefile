# The two commands of the README: `make demo` and `make test`. Everything else they need, they make.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ASTERISK_STAMP := $(VENV)/.asterisk

.PHONY: help setup demo serve test test-fast bench lint clean model
.DELETE_ON_ERROR:

help:
	@echo "make demo   a real call from end to end, then the operators' desk stays open (sets everything up first)"
	@echo "make test   every test (sets everything up first)"
	@echo "make serve  the hotline without the demo call"
	@echo "make bench  what this machine can do, each figure beside its yardstick (27 minutes; BENCH=pipeline for a part)"
	@echo "make lint   ruff, mypy and the import rules"
	@echo "make model  trains a speech model to bundle (hours; speech/training/README.md)"
	@echo "make clean  removes what setup made (.venv, .asterisk) and the state (var)"

# The virtual environment and the real Asterisk. Stamps make the second run instant.
setup: $(STAMP) $(ASTERISK_STAMP)

$(STAMP): pyproject.toml docker/install-python.sh
	@PYTHON=$(PYTHON) docker/install-python.sh $(VENV)
	@touch $@

$(ASTERISK_STAMP): docker/install-asterisk.sh | $(STAMP)
	@docker/install-asterisk.sh
	@touch $@

demo: setup
	@exec $(BIN)/hotline demo

serve: setup
	@exec $(BIN)/hotline serve

$(VENV)/.browser: docker/install-test-tools.sh | $(STAMP)
	@docker/install-test-tools.sh
	@touch $@

test: setup $(VENV)/.browser
	@$(MAKE) --no-print-directory lint
	@$(BIN)/python -m pytest

# Without calls and browser: what to run while writing.
test-fast: $(STAMP)
	@$(BIN)/python -m pytest tests/unit tests/component

# Wants a quiet machine. BENCH="pipeline streams" for some parts, BENCH_OPTIONS="--quick" to try it.
bench: setup
	@PYTHONPATH=tests $(BIN)/python -m bench $(BENCH) $(BENCH_OPTIONS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The recipe of a model to bundle: hours of work for all cores, goes on where it was stopped. speech/training/README.md
# says what HUMAN and EVERYDAY are and where to get them; without them the model learns from synthetic voices alone.
MODEL_WORK ?= var/model
STAGES ?=
model: .venv-training/.installed
	@exec .venv-training/bin/python -m speech.training --work $(MODEL_WORK) \
		$(if $(HUMAN),--human $(HUMAN)) $(if $(EVERYDAY),--everyday $(EVERYDAY)) $(foreach table,$(UNKNOWN),--unknown $(table)) $(if $(SIZE),--size $(SIZE)) $(STAGES)

.venv-training/.installed: pyproject.toml docker/install-python.sh
	@PYTHON=$(PYTHON) docker/install-python.sh .venv-training training
	@touch $@

clean:
	rm -rf $(VENV) .venv-training .asterisk var .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
