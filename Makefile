# The report, from a fresh clone: make report. Alone, make prints this help.
#
# Works with GNU make 3.81 and later. Values reach the commands through the environment, so that
# spaces and quotes in them survive.

SHELL := bash
.DEFAULT_GOAL := help
.SUFFIXES:
.NOTPARALLEL:

PROFILE ?= auto#      auto (full with CUDA, else quick), quick, standard or full
DATA ?=#              auto, synthetic, timm/eurosat-rgb or a folder
NAME ?=#              results below reports/NAME, artifacts/NAME and runs/NAME
PARAMS ?=#            papermill's options, for instance "-p max_epochs 15 -y 'lr_seeds: [0, 1]'"
STAGES ?=#            of make reproduce: these alone, for instance "check_initial_loss evaluate"
SWEEP ?=#             a YAML list of parameter sets for make sweep, see configs/sweeps
RECIPE ?=#            a file of configs/recipes for make train, validate and ablation: best
A ?=#                 first run of make compare; empty: the run without a name
B ?=#                 second run of make compare
PYTHON ?= python3#    makes .venv; 3.11 or newer
FROZEN ?=#            1: published results are taken as they are, nothing is computed
ARGS ?=#              options of make test or bench, for instance "-k grid"

# An activated environment is used as it is (conda's base is not one); .venv otherwise.
CONDA := $(if $(filter-out base,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX))
VENV := $(or $(VIRTUAL_ENV),$(CONDA),.venv)

# The Windows Subsystem for Linux calls the machine NAME in every environment: not a run.
ifneq ($(WSL_DISTRO_NAME),)
ifeq ($(origin NAME),environment)
NAME :=
endif
endif

# Kept in the environment: changes with the project's place and with what is to be installed.
STATE := $(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.eurosat-report-$(STATE)
PY := $(VENV)/bin/python

export PROFILE DATA NAME PARAMS STAGES SWEEP RECIPE A B PYTHON FROZEN ARGS VENV STAMP PY

REPORT := "$$PY" -m eurosat_lib.report
REQUEST := --profile "$$PROFILE" --data "$$DATA" --name "$$NAME" --params="$$PARAMS"
BUILD := $(REPORT) build $(REQUEST)
NOTEBOOKS := $(sort $(basename $(notdir $(wildcard notebooks/[0-9][0-9]_*.ipynb))))

.PHONY: help setup ready report sweep compare reproduce results index train validate ablation test lint lab tensorboard captures bench compute clean $(NOTEBOOKS)

help: # this help
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*# \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'
	@echo "  01_data … 07_eval: one notebook alone, executed into reports/notebooks"
	@echo "Variables, for instance make report PROFILE=quick NAME=trial:"
	@sed -n 's/^\([A-Z]*\) ?= *\([a-z0-9]*\)# *\(.*\)/  \1|\3/p' Makefile \
		| awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'

setup: ready # install everything into the activated environment, or into .venv
	@echo "ready: $$VENV ($$("$$PY" --version))"

report: ready # run the notebooks that are out of date, bind reports/rapport.html and .pdf
	@$(BUILD)

$(NOTEBOOKS): ready
	@$(BUILD) --only $@

sweep: ready # one named report per parameter set of SWEEP; those up to date are skipped
	@$(REPORT) sweep $(REQUEST) -- "$$SWEEP"

compare: ready # the runs A and B beside each other, in reports/comparaisons
	@$(REPORT) compare -- "$$A" "$$B"

reproduce: ready # compute the run NAME again from what it stored, say whether the numbers are the same
	@$(REPORT) reproduce --name "$$NAME" --stages "$$STAGES"

results: ready # write the model card of the run NAME and the headline of the README
	@$(REPORT) results --name "$$NAME"

index: ready # list all runs in reports/index.html (make report does too)
	@$(REPORT) index

compute: ready # compute all stages, without notebooks
	@[ -z "$$PARAMS" ] || { echo "error: PARAMS is for notebooks; a stage takes flags:" \
		"python -m eurosat_lib --help" >&2; exit 2; }
	@"$$PY" -m eurosat_lib compute --profile "$$PROFILE" $${DATA:+--data "$$DATA"} \
		$${NAME:+--name "$$NAME"}

train: ready # train and test the recipe RECIPE, or without one the final configuration
	@"$$PY" -m eurosat_lib $(if $(RECIPE),train_recipe --recipe "$$RECIPE",train) \
		--profile "$$PROFILE" $${DATA:+--data "$$DATA"} $${NAME:+--name "$$NAME"} $$ARGS

validate: ready # train the recipe RECIPE and judge it on validation alone: to try recipes
	@"$$PY" -m eurosat_lib validate_recipe --recipe "$$RECIPE" \
		--profile "$$PROFILE" $${DATA:+--data "$$DATA"} $${NAME:+--name "$$NAME"} $$ARGS

ablation: ready # train the protocol and each further step of the recipe RECIPE, shortly
	@"$$PY" -m eurosat_lib ablate_recipe --recipe "$$RECIPE" \
		--profile "$$PROFILE" $${DATA:+--data "$$DATA"} $${NAME:+--name "$$NAME"} $$ARGS

test: ready # run the tests
	@"$$PY" -m pytest $$ARGS

lint: ready # check style, layers of imports, and that no notebook has outputs
	@"$$PY" -m ruff check .
	@"$$PY" -m ruff format --check .
	@"$$PY" -c 'from importlinter.cli import lint_imports_command as lint; lint()'
	@"$$PY" -m nbstripout --verify --keep-id --extra-keys \
		"metadata.papermill cell.metadata.papermill metadata.language_info.version" \
		$(NOTEBOOKS:%=notebooks/%.ipynb) notebooks/accueil.ipynb

lab: ready # open JupyterLab on its landing page: the steps, what is kept, all runs
	@$(REPORT) home --profile "$$PROFILE" --data "$$DATA" --name "$$NAME"
	@"$$PY" -m jupyterlab \
		--LabApp.default_url="/lab/tree/reports/accueil.ipynb?file-browser-path=/notebooks" \
		$(if $(filter 0,$(shell id -u)),--allow-root)

tensorboard: ready # open TensorBoard at runs/
	@"$$PY" -m tensorboard.main --logdir "runs/$$NAME"

captures: ready # photograph TensorBoard for the report (needs a Chromium browser)
	@"$$PY" -m eurosat_lib.captures --name "$$NAME"

bench: ready # time training and evaluation against the usual loop
	@"$$PY" benchmarks/training.py $(if $(filter-out auto,$(PROFILE)),--profile "$$PROFILE") \
		$${DATA:+--data "$$DATA"} $$ARGS

clean: # remove the built report and tool caches; results in artifacts/ and runs/ stay
	@set -e; folder="reports/$$NAME"; \
	case "$$NAME" in answers|template|comparaisons|*/*|.*) echo "error: NAME=$$NAME is no run" >&2; exit 2;; esac; \
	[ ! -f "artifacts/$$NAME/MODEL_CARD.md" ] || { echo "error: git holds the report of $$NAME" >&2; exit 2; }; \
	rm -rf "$$folder"/rapport.html "$$folder"/rapport.pdf "$$folder"/notebooks "$$folder"/.build.json; \
	[ -n "$$NAME" ] || rm -rf reports/index.html reports/accueil.ipynb reports/comparaisons; \
	rm -rf .pytest_cache .ruff_cache .import_linter_cache; \
	find eurosat_lib tests -name __pycache__ -type d -prune -exec rm -rf {} +; \
	echo "cleaned; kept: artifacts/ and runs/ (results), $$VENV"

# Installs once: nothing to do while the stamp is there.
ready:
	@[ -f "$$STAMP" ] && [ -x "$$PY" ] || bash .ci/setup
