# The report, from a fresh clone: make report. Alone, make prints this help.
# Values reach the commands through the environment: spaces and quotes in them survive, but in ARGS.

SHELL := bash
.DEFAULT_GOAL := help
.NOTPARALLEL:

PROFILE ?= auto#      auto (full with CUDA, else quick), quick, standard or full
DATA ?=#              auto, synthetic, timm/eurosat-rgb or a folder
NAME ?=#              results below reports/NAME, artifacts/NAME and runs/NAME
PARAMS ?=#            papermill's options, for instance "-p max_epochs 15 -y 'lr_seeds: [0, 1]'"
FROZEN ?=#            1: published results are taken as they are, nothing is computed
ENGINE ?=#            ray: trainings side by side, see docs/CLUSTER.md; empty: one after the other
SWEEP ?=#             of make sweep: a YAML list of parameter sets, see configs/sweeps
A ?=#                 of make compare: the first run; empty: the run without a name
B ?=#                 of make compare: the second run
STAGES ?=#            of make reproduce: these alone, for instance "check_initial_loss evaluate"
RECIPE ?=#            of make train: a file of configs/recipes, for instance best
PYTHON ?= python3#    makes .venv; 3.11 or newer
ARGS ?=#              further options of make test, train or lab

# An activated environment is used as it is (conda's base is not one); .venv otherwise.
CONDA := $(if $(filter-out base,$(CONDA_DEFAULT_ENV)),$(CONDA_PREFIX))
VENV := $(or $(VIRTUAL_ENV),$(CONDA),.venv)
PY := $(VENV)/bin/python
# The Windows Subsystem for Linux calls the machine NAME in every environment: not a run.
NAME := $(if $(and $(WSL_DISTRO_NAME),$(filter environment,$(origin NAME))),,$(NAME))
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
STRAY := $(filter-out $(shell sed -n 's/ ?=.*//p' Makefile) VENV STAMP VIRTUAL_ENV EUROSAT_% HF_%,$(GIVEN))
$(if $(STRAY),$(error unknown variable $(STRAY); make help lists them))
STAMP := $(VENV)/.eurosat-report-$(shell { pwd; cat pyproject.toml constraints.txt; } | cksum | cut -d ' ' -f 1)
export PROFILE DATA NAME PARAMS STAGES SWEEP RECIPE A B PYTHON FROZEN ENGINE ARGS VENV STAMP PY

REPORT := "$$PY" -m eurosat_lib.report
REQUEST := --profile "$$PROFILE" --data "$$DATA" --name "$$NAME" --params="$$PARAMS"
NOTEBOOKS := $(sort $(basename $(notdir $(filter notebooks/%.ipynb,$(wildcard notebooks/[0-9][0-9]_*.ipynb)))))
.PHONY: help setup ready tools report sweep compare index reproduce results train test lint lab tensorboard captures clean $(NOTEBOOKS)

help: # this help
	@echo "Targets:"
	@sed -n 's/^\([a-z]*\):.*# \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'
	@echo "  01_data … 07_eval: one notebook alone, executed into reports/notebooks"
	@echo "Variables, for instance make report PROFILE=quick NAME=trial:"
	@sed -n 's/^\([A-Z]*\) ?= *\([a-z0-9]*\)# *\(.*\)/  \1|\3/p' Makefile | awk -F'|' '{printf "%-14s%s\n", $$1, $$2}'
setup: ready # install everything into the activated environment, or into .venv
	@echo "ready: $$VENV ($$("$$PY" --version))"
report: ready # run the notebooks that are out of date, bind reports/rapport.html and .pdf
	@$(REPORT) build $(REQUEST)
$(NOTEBOOKS): ready
	@$(REPORT) build $(REQUEST) --only $@
sweep: ready # one named report per parameter set of SWEEP; those up to date are skipped
	@$(REPORT) sweep $(REQUEST) -- "$$SWEEP"
compare: ready # the runs A and B beside each other, in reports/comparaisons
	@$(REPORT) compare -- "$$A" "$$B"
index: ready # list all runs in reports/index.html
	@$(REPORT) index
reproduce: ready # compute the run NAME again from what it stored, say whether the numbers are the same
	@$(REPORT) reproduce --name "$$NAME" --stages "$$STAGES"
results: ready # write the model card of the run NAME and the headline of the README
	@$(REPORT) results --name "$$NAME"
train: ready # train and test the recipe RECIPE, or without one train the final configuration
	@"$$PY" -m eurosat_lib $(if $(RECIPE),train_recipe --recipe "$$RECIPE",train) \
		--profile "$$PROFILE" $${DATA:+--data "$$DATA"} $${NAME:+--name "$$NAME"} $$ARGS
test: tools # run the tests, two at a time
	@"$$PY" -m pytest -n 2 --dist loadfile --no-loadscope-reorder $$ARGS
lint: tools # check style and layers of imports
	@"$$PY" -m ruff check .
	@"$$PY" -m ruff format --check .
	@"$$PY" -c 'from importlinter.cli import lint_imports_command as lint; lint()'
lab: ready # open JupyterLab on its landing page: the steps, what is kept, all runs
	@TENSORBOARD_BINARY="$$(cd "$$(dirname "$$PY")" && pwd)/tensorboard" "$$PY" -m jupyterlab \
		--config=.ci/lab.py --ServerApp.root_dir="$$PWD" $(if $(filter 0,$(shell id -u)),--allow-root) $$ARGS
tensorboard: ready # open TensorBoard at runs/
	@"$$PY" -m tensorboard.main --host localhost --logdir "runs/$$NAME"
captures: tools # photograph TensorBoard for the report (needs a Chromium browser)
	@$(REPORT) captures --name "$$NAME"
clean: # remove the built report and tool caches; results in artifacts/ and runs/ stay
	@case "$$NAME" in answers|template|comparaisons|*/*|.*) echo "error: NAME=$$NAME is no run" >&2; exit 2;; esac
	@[ ! -f "artifacts/$$NAME/MODEL_CARD.md" ] || { echo "error: git holds the report of $$NAME" >&2; exit 2; }
	@rm -f "reports/$$NAME"/{rapport.html,rapport.pdf,.build.json}
	@for path in notebooks/[0-9][0-9]_*.ipynb; do rm -f "reports/$$NAME/$${path%.ipynb}"{,.failed}.ipynb; done
	@[ -n "$$NAME" ] || rm -f reports/index.html reports/comparaisons/*+*.html
	@rm -rf .pytest_cache .ruff_cache .import_linter_cache; find eurosat_lib tests -name __pycache__ -prune -exec rm -rf {} +
	@echo "cleaned; kept: artifacts/ and runs/ (results), $$VENV"

# Installs once: nothing to do while the stamp is there. Only tests and lint need the developers' tools.
ready:
	@[ -f "$$STAMP" ] && [ -x "$$PY" ] || bash .ci/setup
tools:
	@[ -f "$$STAMP-dev" ] && [ -x "$$PY" ] || EXTRA='[dev]' bash .ci/setup
