# What there is to do here. It needs make and Python >= 3.11; uv is used where it is there.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
UV := $(shell command -v uv 2>/dev/null)
BIN := .venv/bin
INSTALL := $(if $(UV),uv pip install --quiet --python $(BIN)/python,$(BIN)/python -m pip install --quiet)
FLEET ?= configs/supply-chain.yaml

.DEFAULT_GOAL := help
.PHONY: setup dev demo run test test-unit test-ray lint types format docs bench bench-faults bench-chaos bench-soak bench-lives bench-kept bench-graph bench-judge lock clean help

setup: .venv/.ready  ## make the environment in .venv, with the locked versions

# Made anew only when what it is made of has changed.
.venv/.ready: requirements.lock pyproject.toml
ifneq ($(UV),)
	uv venv --quiet --allow-existing --python '>=3.11' .venv
else
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	$(PYTHON) -m venv .venv
endif
	$(INSTALL) --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

dev: setup  ## setup, and what the benchmarks compare with (Ray Serve)
	$(INSTALL) --constraint requirements.lock --editable '.[bench]'

demo: setup  ## the main job: good versions promoted, bad ones caught, on a local Ray
	$(BIN)/rolewise demo

run: setup  ## launch a fleet and serve its API until Ctrl-C: make run FLEET=my.yaml
	$(BIN)/rolewise up $(FLEET)

test: lint types  ## everything that must hold: lint, types, layers, all tests
	$(BIN)/pytest -n 4 -m "not alone"
	$(BIN)/pytest -m alone

test-unit: setup  ## the quick tests: no Ray, no wheel
	$(BIN)/pytest -n 2 -m "not ray and not slow"

test-ray: setup  ## the tests on a real local Ray
	$(BIN)/pytest -n 2 -m ray

lint: setup  ## style, format, and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: setup  ## mypy, strict
	$(BIN)/mypy

format: setup  ## put the code into its form
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: setup  ## write the generated pages anew
	$(BIN)/python -m rolewise.fleet.spec.reference
	$(BIN)/python -m rolewise.coordinator.rollout.diagram > docs/reference/rollout-machine.md
	$(BIN)/python -m rolewise.coordinator.api.reference rest > docs/reference/rest.md
	$(BIN)/python -m rolewise.coordinator.api.reference errors > docs/reference/errors.md
	$(BIN)/python -m rolewise.coordinator.cli.reference

bench: dev  ## messages a second and their latency: bare calls, Ray Serve, Rolewise
	$(BIN)/python benchmarks/transport.py

bench-faults: setup  ## how fast an abort takes hold with fifty replicas; what kept accounts cost
	$(BIN)/python benchmarks/abort.py
	$(BIN)/python benchmarks/accounts.py

bench-chaos: setup  ## 100,000 random histories under faults in virtual time (about half an hour)
	$(BIN)/python benchmarks/chaos.py

bench-soak: setup  ## rollouts one after another for half an hour while processes are killed
	$(BIN)/python benchmarks/soak.py

bench-lives: setup  ## what stays in memory of replicas that have ended, beside bare Ray
	$(BIN)/python benchmarks/lives.py

bench-kept: setup  ## what a collector keeps, over hours of a fleet (some minutes)
	$(BIN)/python benchmarks/kept.py
	$(BIN)/python benchmarks/kept.py --ray

bench-graph: setup  ## folding messages into graphs and rows of tasks: columns against networkx
	$(BIN)/python benchmarks/graph.py

bench-judge: setup  ## the judge's errors and speed beside other rules (some minutes), and its cost
	$(BIN)/python benchmarks/judge_operating.py --out benchmarks
	$(BIN)/python benchmarks/judge_speed.py

lock:  ## resolve the locked versions anew (needs uv)
	uv pip compile --quiet --universal --no-header --no-annotate --extra dev --upgrade \
		--output-file requirements.lock pyproject.toml

clean:  ## remove everything that was made here
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .rolewise
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1 /p' $(MAKEFILE_LIST) | while read -r name what; do printf '  make %-12s %s\n' "$$name" "$$what"; done
