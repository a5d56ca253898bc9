PYTHON ?= python3
VENV := .venv
RUN := TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
MNIST := configs/table3_mnist_path.yaml configs/table3_mnist_grid.yaml
ORDERING := configs/ordering_mnist_path.yaml configs/ordering_mnist_grid.yaml
RATES := configs/rates_mnist_default.yaml

.DEFAULT_GOAL := help
.PHONY: help install test test-slow lint format experiment-mnist experiment-mnist-quick \
	experiment-ordering experiment-rates results \
	figure1 figure2 figure3 prolongation-report \
	benchmark-fine-gradient benchmark-clock benchmark-clock-quick \
	benchmark-cost benchmark-scale benchmark-learning benchmark-prolongation clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-26s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## Create .venv with the library, experiments and tools

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --quiet --editable '.[experiments,prolongation,dev]'
	@touch $@

test: install ## Run the tests and doctests, without the slow ones
	$(RUN) -m pytest -q

test-slow: install ## Run the slow tests
	$(RUN) -m pytest -q -m slow

lint: install ## Check style and formatting
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: install ## Format the code
	$(VENV)/bin/ruff format .

experiment-mnist: install ## Train on real digits: Table 3 and Figure 6
	$(RUN) -m experiments $(MNIST)

experiment-mnist-quick: install ## The same path through the code, with a tiny budget
	$(RUN) -m experiments $(MNIST) --quick

experiment-ordering: install ## Grid, path and default over three seeds
	$(RUN) -m experiments $(ORDERING) --figure figures/ordering.png

experiment-rates: install ## The default network over learning rates: the tuned baseline
	$(RUN) -m experiments $(RATES) --figure figures/rates.png

results: install ## Print the published tables from the run files in results/
	$(RUN) -m experiments $(ORDERING) $(RATES) --runs results --figure figures/results.png

figure1: install ## Draw the cross and the box product of two paths
	$(RUN) -m experiments.prolongation figure1

figure2: install ## Draw optimal P between grids as s grows
	$(RUN) -m experiments.prolongation figure2

figure3: install ## Draw the families of P beside global optima
	$(RUN) -m experiments.prolongation figure3

prolongation-report: install ## Compare methods, scan beta, check section 5: a page
	$(RUN) -m experiments.prolongation report

benchmark-fine-gradient: install ## Time a step at each level against a plain step
	$(RUN) benchmarks/fine_gradient.py

benchmark-clock: install ## Seconds to a target: coarsened data against tuned plain training
	$(RUN) -m benchmarks.clock

benchmark-cost: install ## Does time follow C(t)? Cycles in plain steps
	$(RUN) -m benchmarks.cost

benchmark-scale: install ## Seconds to compile, time by size, memory
	$(RUN) -m benchmarks.scale

benchmark-learning: install ## Coarsened data against the fine gradient, at equal C(t)
	$(RUN) -m benchmarks.learning

benchmark-clock-quick: install ## The same for one task and one seed
	$(RUN) -m benchmarks.clock --quick

benchmark-prolongation: install ## Seconds to an optimal P, beside pymanopt at equal E
	OPENBLAS_NUM_THREADS=1 $(RUN) -m benchmarks.prolongation

clean: ## Remove .venv, caches, runs and figures
	rm -rf $(VENV) runs figures build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
