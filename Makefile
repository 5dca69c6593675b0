# Thin: each target is one command a person could type. The environment is made once, with uv when present.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

LOWEST := .venv-lowest
PAGES := build/docs
NOTEBOOKS := $(patsubst %.ipynb,$(PAGES)/%.md,$(wildcard notebooks/*.ipynb))

.PHONY: run test test-all test-lowest fuzz lint bench gpu docs clean

$(VENV)/installed: pyproject.toml constraints.txt
	if command -v uv >/dev/null; then \
	  test -x $(BIN)/python || uv venv --python $(PYTHON) $(VENV); \
	  uv pip install --python $(BIN)/python --compile-bytecode --constraint constraints.txt --editable '.[dev]'; \
	else \
	  test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); \
	  $(BIN)/python -m pip install --constraint constraints.txt --editable '.[dev]'; \
	fi
	touch $@

run: $(VENV)/installed
	$(BIN)/python -m nave.run report=true

test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow' -n 2 --dist worksteal

test-all: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

$(LOWEST)/installed: pyproject.toml .ci/lowest.py
	$(PYTHON) -m venv --clear $(LOWEST)
	$(PYTHON) .ci/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --constraint $(LOWEST)/constraints.txt --editable '.[test]'
	touch $@

test-lowest: $(LOWEST)/installed
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest -q -o addopts= -o filterwarnings=ignore -m 'not slow' -n 2 --dist worksteal

fuzz: $(VENV)/installed
	NAVE_FUZZ=100000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/fuzz

lint: $(VENV)/installed
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python -m nave.bench

gpu: $(VENV)/installed
	$(BIN)/python -m nave.bench.gpu

$(VENV)/docs: $(VENV)/installed
	if command -v uv >/dev/null; then \
	  uv pip install --python $(BIN)/python --constraint constraints.txt --editable '.[docs]'; \
	else \
	  $(BIN)/python -m pip install --constraint constraints.txt --editable '.[docs]'; \
	fi
	touch $@

$(PAGES)/notebooks/%.md: notebooks/%.ipynb docs/notebooks.py | $(VENV)/docs
	$(BIN)/python docs/notebooks.py $< $(@D)

$(PAGES)/pictures/done: docs/pictures.py | $(VENV)/docs
	$(BIN)/python docs/pictures.py $(@D)
	touch $@

docs: $(VENV)/docs $(NOTEBOOKS) $(PAGES)/pictures/done
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict  # a notice of its successor, not of these pages

clean:
	rm -rf $(VENV) $(LOWEST) build
