# Everything here works on a fresh machine with Python 3.11+, make and a package registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MEDIAPIPE := .venv-mediapipe
CLIENT := $(MEDIAPIPE)/.installed
WORKERS ?= 2
# A worker that dies is a named failure, and another takes over; loadfile would begin its file anew.
TESTS := -m pytest -q -n $(WORKERS) --dist worksteal --max-worker-restart 4
export TF_CPP_MIN_LOG_LEVEL ?= 3
export TF_ENABLE_ONEDNN_OPTS ?= 1
export MPLBACKEND ?= Agg

.PHONY: help install quickstart test test-all lint format bench models clean

help:
	@echo "make quickstart  digits in; a trained, evaluated, exported and verified int8 MobileNetV2 out"
	@echo "make test        the tests (about eighteen minutes on two cores)"
	@echo "make test-all    the tests marked slow as well"
	@echo "make bench       our speed beside the peer's, as ratios from one run"
	@echo "make models      measures every network and writes docs/models.md (about 16 minutes)"
	@echo "make lint        ruff's format and rules;  make format mends what it can"
	@echo "make install     the virtual environment .venv that all of these use"
	@echo "make clean       removes the virtual environments and caches"

install: $(INSTALLED)

# Quiet unless it fails; not repeated until pyproject.toml changes.
$(INSTALLED): pyproject.toml
	@echo "Installing kvision into $(VENV) (a few minutes the first time) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check -e '.[dev]' > $(VENV)/install.log 2>&1 \
	    || { tail -n 30 $(VENV)/install.log; echo "The installation failed; the whole log is $(VENV)/install.log"; exit 1; }
	@touch $@

# MediaPipe Tasks is the real client of an exported file. It has an environment of its own, because
# it brings its own build of OpenCV.
$(CLIENT): tests/export/mediapipe-requirements.txt
	@echo "Installing the MediaPipe client into $(MEDIAPIPE) ..."
	@test -x $(MEDIAPIPE)/bin/python || $(PYTHON) -m venv $(MEDIAPIPE)
	@$(MEDIAPIPE)/bin/python -m pip install --disable-pip-version-check --no-deps -r $< > $(MEDIAPIPE)/install.log 2>&1 \
	    && touch $@ \
	    || { mv $(MEDIAPIPE)/install.log $(MEDIAPIPE).log; rm -rf $(MEDIAPIPE); \
	         echo "MediaPipe cannot be installed here ($(MEDIAPIPE).log says why): its tests will be skipped."; }

quickstart: $(INSTALLED)
	@$(BIN)/python apps/quickstart.py

test: $(INSTALLED) $(CLIENT)
	@$(BIN)/python $(TESTS) -m "not slow and not bench"

test-all: $(INSTALLED) $(CLIENT)
	@$(BIN)/python $(TESTS) -m "not bench"

bench: $(INSTALLED)
	@$(BIN)/python -m pytest -q -s -m bench tests/benchmarks

models: $(INSTALLED)
	@$(BIN)/python -m kvision.zoo

lint: $(INSTALLED)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

format: $(INSTALLED)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	@rm -rf $(VENV) $(MEDIAPIPE) $(MEDIAPIPE).log .pytest_cache .ruff_cache *.egg-info
	@find kvision apps tests -name __pycache__ -prune -exec rm -rf {} +
