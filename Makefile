# Everything runs in .venv; the first target that needs it makes it.

PYTHON ?= python3
# Versions that pip keeps to; empty: the newest.
CONSTRAINTS ?= constraints.txt
# Processes that the tests run in.
WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/.installed
TRITON := .venv/.triton
# The scan is compiled first, so that the workers do not each compile the same.
PYTEST = $(BIN)/python tools/compile_scan.py && $(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install demo demo-watch sweep-demo report-demo test test-long test-triton coverage lint types configs build bench docs site reproduce chaos clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Set up .venv with rnnlab, its real data and the development tools

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS)) -e '.[dev]'
	@touch $@

demo: $(STAMP) ## Train the demo on real handwritten digits and show what its gradients do
	$(BIN)/rnnlab train --config configs/demo.yaml --force

demo-watch: $(STAMP) ## Watch an LSTM in a training loop of its own, and show what its gradient does
	$(BIN)/python examples/watch_lstm.py
	$(BIN)/rnnlab show runs/watched

sweep-demo: $(STAMP) ## Train 162 runs on the adding problem: cells, initializers, clips and lengths
	$(BIN)/rnnlab sweep --config configs/sweep_demo.yaml

report-demo: sweep-demo ## Make report.html, the page of that sweep, and show the report
	$(BIN)/rnnlab report runs/ --where sweep=sweep_demo --where task.length=100 --html report.html

test: $(STAMP) ## Run the tests (about five minutes on two cores)
	$(PYTEST) -m "not slow and not long"

test-long: $(STAMP) ## Run the tests that take long: engines, killed processes, benchmarks (about ten minutes on two cores)
	$(PYTEST) -m "long and not slow"

test-triton: $(TRITON) ## Run the tests of the scan on CUDA without a GPU, with Triton (700 MB; two minutes on two cores)
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) tests/scan/cuda
	$(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) tests/scan/cuda

$(TRITON): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS)) -e '.[cuda]'
	@touch $@

coverage: $(STAMP) ## Run the tests and show what they do not reach
	$(PYTEST) -m "not slow" --cov --cov-report=term

lint: $(STAMP) ## Check style and formatting, of the page's script too
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deno fmt --check --quiet
	$(BIN)/python tools/lint_page.py

types: $(STAMP) ## Check types, of the tests and scripts too
	$(BIN)/mypy

configs: $(STAMP) ## Check the configs that ship, and that their schemas are current
	$(BIN)/rnnlab validate configs/*.yaml
	$(BIN)/rnnlab schema | cmp - configs/schema.json
	$(BIN)/rnnlab schema --sweep | cmp - configs/sweep.schema.json

build: $(STAMP) ## Build sdist and wheel into dist/, and try the wheel in a venv of its own
	$(BIN)/python tools/build.py

bench: $(STAMP) ## Time an update with recording against a loop of cells and against torch's own layers
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/write.py

docs: $(STAMP) ## Rewrite the generated parts of the documentation and the schemas in configs/
	$(BIN)/python -m rnnlab schema > configs/schema.json
	$(BIN)/python -m rnnlab schema --sweep > configs/sweep.schema.json
	$(BIN)/python docs/generate.py

site: $(STAMP) ## Build the documentation as a site into site/, with an API reference and search
	$(BIN)/python tools/site.py

reproduce: $(STAMP) ## Run the slow reproductions of published results
	$(BIN)/python -m pytest -q -m slow

chaos: $(STAMP) ## Disturb everything: faults, power cuts, damage, hostile input, long runs (about 25 minutes)
	$(BIN)/python tools/compile_scan.py && $(BIN)/python tools/run_chaos.py

clean: ## Remove .venv, dist/, site/ and caches; runs/ stays
	rm -rf .venv dist site build .pytest_cache .mypy_cache .ruff_cache .hypothesis
