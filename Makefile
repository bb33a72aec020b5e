# `make help` lists the targets. TORCH_INDEX= names a package index to take torch from, for example the one of
# its CPU builds: without it a Linux machine may download the larger CUDA build.

PYTHON ?= python3
VENV ?= .venv
PEERS := .venv-peers
TORCH_INDEX ?=
JOBS ?= 2
PANEL ?=
BASE ?=
ONLY ?=
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help install demo test lint check golden bench results claims clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-8s  %s\n", $$1, $$2 }'

install: $(STAMP) ## make .venv with the pinned packages and this project in it

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: install ## install, then train a Ball until it reaches its targets: a few minutes
	$(BIN)/kltransfer body=ball task=go_to_target label=demo learner_steps=1_500_000

test: install ## install, then run all tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

lint: install ## check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint ## lint, and the fast tests
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup -m "not slow"

golden: install ## compare short runs with those of another revision, bit for bit: make golden BASE=main
	test -n "$(BASE)" || { echo "say with which revision: make golden BASE=main"; exit 1; }
	$(BIN)/python tests/golden.py $(BASE) --only "$(ONLY)"

bench: install $(PEERS)/.installed ## run all benchmarks and print their tables: up to half an hour
	$(BIN)/python benchmarks/all.py

# What cannot be installed is left out of the tables, which say so.
$(PEERS)/.installed: benchmarks/peers.txt
	{ rm -rf $(PEERS) && $(PYTHON) -m venv $(PEERS) \
	&& $(PEERS)/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) -c $< torch \
	&& $(PEERS)/bin/python -m pip install --quiet -r $< \
	&& touch $@; } || { echo "bench: benchmarks/peers.txt could not be installed"; rm -rf $(PEERS); }

results: install ## run a panel of RESULTS.md again and draw it: make results PANEL=fig3_left
	test -n "$(PANEL)" || { echo "say which: make results PANEL=fig3_left"; exit 1; }
	$(BIN)/kltransfer experiment=$(PANEL)
	$(BIN)/kltransfer-report outputs/$(PANEL)

claims: install ## write the claims of RESULTS.md, as a table and a figure, from the files of its panels
	$(BIN)/python docs/claims.py

clean: ## remove caches and builds; keeps outputs/ and .venv
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
