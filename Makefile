# make setup   .venv with the daemon and the demo's broker
# make demo    see it at work; Ctrl-C ends it
# make tools   what the tools for training and evaluation need
# make test    install what the tests need and run all checks
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo tools test mosquitto clean
.DELETE_ON_ERROR:

setup: $(VENV)/.setup

demo: setup
	@$(BIN)/python tools/demo.py

tools: $(VENV)/.tools

test: mosquitto $(VENV)/.tests
	@PATH="$(abspath $(BIN)):$$PATH" tools/check

mosquitto:
	@tools/need-mosquitto

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	@tools/make-venv $(PYTHON) $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[broker]'
	@touch $@

$(VENV)/.tools: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[broker,tools]'
	@touch $@ $(VENV)/.setup

$(VENV)/.tests: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[broker,tools,tests]'
	@touch $@ $(VENV)/.setup $(VENV)/.tools
