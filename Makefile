PYTHON ?= python3
VENV := .venv
RUN := TF_CPP_MIN_LOG_LEVEL=3 $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
MNIST := configs/mnist.yaml
TABLE3 := configs/table3_mnist_path.yaml configs/table3_mnist_grid.yaml
ORDERING := configs/ordering_mnist_path.yaml configs/ordering_mnist_grid.yaml
RATES := configs/rates_mnist_default.yaml
TABLES := configs/table1_one_object.yaml configs/table2_two_objects.yaml $(TABLE3) \
	configs/figure7_choice_of_p.yaml
# Which of a config's ways to train: make table1 WAY=ours
WAY_OPTION = $(if $(WAY),--way $(WAY))

# What needs no TensorFlow.
EVERY_BACKEND := tests/test_energy.py tests/test_choice.py tests/test_plan.py \
	tests/test_handover.py tests/test_leaving.py tests/test_mean.py tests/test_warm_start.py \
	tests/test_warm_start_kept.py tests/test_nested_level.py \
	tests/test_nested_iteration.py tests/test_images.py tests/test_images_refused.py \
	tests/test_strangers.py tests/test_stencils.py tests/test_fields.py \
	tests/test_normalised.py tests/test_compile_cache.py \
	tests/test_parts.py tests/test_every_backend.py tests/test_replicas.py tests/test_examples.py
# Of cycles on coarsened data on JAX, where each small program compiles for seconds; all
# are tests/test_coarsened*.py and tests/test_battery_coarsened.py.
CYCLES ?= tests/test_coarsened_program.py tests/test_coarsened_fit.py
# CI names a release whose wheel is small.
TORCH ?= torch

.DEFAULT_GOAL := help
.PHONY: help install test test-thorough test-docs test-examples test-kill test-slow test-jax test-torch \
	lint format release-check docs docs-pictures gallery report search \
	experiment-mnist experiment-mnist-quick experiment-ordering experiment-rates \
	table1 table2 table3 tables-quick figure1 figure2 figure3 figure5 figure7 \
	prolongation-report benchmark-fine-gradient benchmark-clock benchmark-clock-quick \
	benchmark-practice benchmark-practice-quick benchmark-cost benchmark-scale \
	benchmark-learning benchmark-prolongation clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-26s %s\n", $$1, $$2}' Makefile

install: $(INSTALLED) ## Create .venv with the library, experiments and tools

$(INSTALLED): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --quiet --editable '.[tensorflow,experiments,prolongation,benchmarks,docs,dev]'
	@touch $@

test: install ## Run the quick tests and the doctests
	$(RUN) -m pytest -q --numprocesses 2 --dist loadfile

test-thorough: install ## More of the same, on more kinds of models and data; CI runs it, too
	$(RUN) -m pytest -q --numprocesses 2 --dist loadfile -m "thorough and not slow"

test-kill: install ## Slow tests that CI runs too: kills, several devices, budgets
	$(RUN) -m pytest -q -m slow tests/test_sweep.py tests/test_command.py tests/test_examples.py \
		tests/test_replicas.py \
		-k 'killed_twenty_times or killed_ten_times or end_with_the_command or budgets or test_replicas'

test-jax: .venv-jax/.installed ## What runs on every backend, on JAX, in a .venv of its own
	KERAS_BACKEND=jax JAX_ENABLE_X64=1 .venv-jax/bin/python -m pytest -q -m "not slow" \
		--numprocesses 2 --dist loadfile $(EVERY_BACKEND) $(CYCLES) \
		tests/test_transfer.py tests/test_initializers.py tests/test_convert.py \
		tests/test_merge.py tests/test_cycle_schedule.py

test-torch: .venv-torch/.installed ## The same on torch
	KERAS_BACKEND=torch .venv-torch/bin/python -m pytest -q -m "not slow" $(EVERY_BACKEND)

.venv-%/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --quiet $(if $(filter torch,$*),$(TORCH)) \
		--editable '.[$*,prolongation,dev]'
	@touch $@

test-slow: install ## Run the slow tests
	$(RUN) -m pytest -q -m slow

docs: install ## Build the site into build/docs, warnings being errors
	$(RUN) -m sphinx -b html -W --keep-going -q -d build/doctrees docs build/docs
	@echo "Open build/docs/index.html"

test-docs: install ## Run the code in the pages of docs/
	$(RUN) -m pytest -q docs

docs-pictures: install ## Draw the pictures of the method's pages anew
	$(RUN) docs/pictures.py

test-examples: install ## Run the gallery's scripts and the notebook, and check what they say
	$(RUN) -m pytest -q -m slow tests/test_gallery.py

gallery: install ## Run the gallery's scripts and the notebook: docs/gallery.md, with what came out
	$(RUN) docs/gallery.py

lint: install ## Check style, formatting and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

release-check: install ## Build what would be published; use it in an empty environment
	release/check $(PYTHON)

format: install ## Format the code
	$(VENV)/bin/ruff format .

experiment-mnist: install ## Real digits: the paper's method beside quicker ones (WAY=full: its whole budget)
	$(RUN) -m experiments $(MNIST) $(WAY_OPTION) --figure figures/mnist.png

experiment-mnist-quick: install ## The same path through the code, with a tiny budget
	$(RUN) -m experiments $(MNIST) $(WAY_OPTION) --quick --figure figures/quick.png

experiment-ordering: install ## Grid, path and default over three seeds
	$(RUN) -m experiments $(ORDERING) --figure figures/ordering.png

experiment-rates: install ## The default network over learning rates: the tuned baseline
	$(RUN) -m experiments $(RATES) --figure figures/rates.png

table1: install ## One object, Table 1 and Figure 5; WAY=script, paper, rates or ours
	$(RUN) -m experiments configs/table1_one_object.yaml $(WAY_OPTION) \
		--figure figures/table1.png

table2: install ## Two objects, Table 2 and Figure 5; WAY as for table1
	$(RUN) -m experiments configs/table2_two_objects.yaml $(WAY_OPTION) \
		--figure figures/table2.png

table3: install ## MNIST, Table 3 and Figure 6; WAY=paper, script or ours
	$(RUN) -m experiments $(TABLE3) $(WAY_OPTION) --figure figures/table3.png

figure5: install ## One object: deeper and higher gamma at one k, over three seeds
	$(RUN) -m experiments configs/figure5_one_object.yaml --figure figures/figure5.png

figure7: install ## The choice of P on MNIST; WAY=paper, script or ours
	$(RUN) -m experiments configs/figure7_choice_of_p.yaml $(WAY_OPTION) \
		--figure figures/figure7.png

tables-quick: install ## All five configs with a tiny budget
	$(RUN) -m experiments $(TABLES) --quick --figure figures/quick.png

search: install ## Which gamma, L and k? Seconds to a tenth, by a sampler
	$(RUN) -m experiments.search configs/table1_one_object.yaml --figure figures/search-one-object.png
	$(RUN) -m experiments.search configs/table2_two_objects.yaml --figure figures/search-two-objects.png
	$(RUN) -m experiments.search configs/table3_mnist_grid.yaml --figure figures/search-mnist.png

report: install ## One HTML page of every table and figure, from results/ alone
	$(RUN) -m experiments.report

figure1: install ## Draw the cross and the box product of two paths
	$(RUN) -m experiments.prolongation figure1

figure2: install ## Draw optimal P between grids as s grows
	$(RUN) -m experiments.prolongation figure2

figure3: install ## Draw the families of P beside global optima
	$(RUN) -m experiments.prolongation figure3

prolongation-report: install ## Compare methods, scan beta, check section 5: a page
	$(RUN) -m experiments.prolongation report

benchmark-fine-gradient: install ## Time a step at each level against a plain step
	$(RUN) -m benchmarks.fine_gradient

benchmark-clock: install ## Seconds to a target: coarsened data against training without, both tuned
	$(RUN) -m benchmarks.clock

benchmark-cost: install ## Does time follow C(t)? Cycles in steps of level 0
	$(RUN) -m benchmarks.cost

benchmark-scale: install ## Seconds to compile, time by size, memory
	$(RUN) -m benchmarks.scale

benchmark-learning: install ## Coarsened data against the fine gradient, at equal C(t)
	$(RUN) -m benchmarks.learning

benchmark-clock-quick: install ## The same for one task and one seed
	$(RUN) -m benchmarks.clock --quick

benchmark-practice: install ## Seconds to a practitioner's error, everything counted: warm start and fit
	$(RUN) -m benchmarks.practice

benchmark-practice-quick: install ## The same for two tasks, three rates and one seed
	$(RUN) -m benchmarks.practice --quick

benchmark-prolongation: install ## Seconds to an optimal P, beside pymanopt at equal E
	OPENBLAS_NUM_THREADS=1 $(RUN) -m benchmarks.prolongation

clean: ## Remove .venv, caches, runs and figures
	rm -rf $(VENV) .venv-jax .venv-torch runs figures build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
