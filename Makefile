# make setup   install the daemon, the dashboard and the demo's broker into .venv
# make demo    see it at work; Ctrl-C ends it
# make tools   install what the tools for training and evaluation need
# make model DATA=path/to/fairface
#              train, quantize, calibrate and evaluate a model, and write its model card
# make onnx    install what tools/quantize.py needs for ONNX files
# make web     install what tools/web.py needs, the page to try models on
# make deb     build the Debian package for this kind of machine (docs/fleet/updates.md)
# make test    install what the tests need and run all checks
# make quick   check format, lint and types and run the tests of single parts, within a minute
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# --no-deps: tf-keras would install the full TensorFlow beside the CPU build, and onnx2tf demands exact
# versions of everything, with an older TensorFlow
ONNX2TF = $(PIP) --no-deps onnx2tf tf-keras

# option NAME,option: the option with what the command line says NAME is, if it does
option = $(if $(findstring command,$(origin $1)),--$2 '$(subst ','\'',$($1))')

.PHONY: setup demo tools model data-named onnx web deb test quick programs clean
.DELETE_ON_ERROR:

setup: $(VENV)/.setup

demo: setup
	@$(BIN)/python tools/demo.py

tools: $(VENV)/.tools

model: data-named $(VENV)/.tools
	@$(BIN)/python tools/make_model.py $(foreach path,$(DATA),--data '$(path)') \
		$(call option,TERMS,terms) $(call option,OUT,out) $(call option,START,start) \
		$(call option,ARCH,arch) $(call option,SIZE,size) $(call option,ESTIMATE,estimate) \
		$(call option,EPOCHS,epochs)

data-named:
	@test -n "$(DATA)" || { echo 'name the faces: make model DATA=path/to/fairface' >&2; exit 2; }

onnx: tools
	@echo "Installing the ONNX converter into $(VENV) (a minute or two) ..."
	$(PIP) --editable '.[onnx]'
	$(ONNX2TF)

web: $(VENV)/.web

deb:
	@systemd/package

test: programs $(VENV)/.tests
	@PATH="$(abspath $(BIN)):$$PATH" tools/dev/check

quick: $(VENV)/.tests
	@PATH="$(abspath $(BIN)):$$PATH" tools/dev/check -m quick

programs:
	@tools/dev/need-programs

clean:
	rm -rf $(VENV) *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# pip is installed last: a half-made environment is made again
$(BIN)/pip:
	@echo "Making a Python environment in $(VENV) ..."
	@tools/dev/make-venv $(PYTHON) $(VENV)

$(VENV)/.setup: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing the daemon, the dashboard and the demo's broker into $(VENV) (385 MB, about a minute) ..."
	$(PIP) --editable '.[broker,dashboard,fleet]'
	@touch $@

$(VENV)/.tools: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing the tools with TensorFlow into $(VENV) (2.1 GB, a few minutes) ..."
	$(PIP) --editable '.[broker,dashboard,fleet,tools]'
	@touch $@ $(VENV)/.setup

$(VENV)/.web: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing the page's server into $(VENV) (a minute or two) ..."
	$(PIP) --editable '.[broker,dashboard,fleet,web]'
	@touch $@ $(VENV)/.setup

$(VENV)/.tests: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing what the tests need into $(VENV) (2.8 GB, several minutes) ..."
	$(PIP) --editable '.[broker,dashboard,fleet,postgres,tools,onnx,web,tests]'
	$(ONNX2TF)
	@touch $@ $(VENV)/.setup $(VENV)/.tools $(VENV)/.web
