# Every target sets itself up. Needs Python 3.11+ and nothing else.

PYTHON ?= python3
UV := .tools/bin/uv
RUN := $(UV) run --frozen --no-sync
SOURCES := protos/src clients/python/src sdk_python/src codegen/src runtime/src

.PHONY: help setup demo test sim conformance e2e check lint types contracts protos generate format bench clean interop-tools

help: ## what there is to run
	@grep -hE '^[a-z0-9]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/.synced ## the environment, from the lock file

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check uv

.venv/.synced: .tools/bin/uv uv.lock pyproject.toml $(wildcard */pyproject.toml clients/python/pyproject.toml)
	$(UV) sync --frozen --all-packages --all-extras --quiet
	@touch $@

demo: setup ## the main job, narrated: generate, call, kill -9, trace
	$(RUN) python -m examples.demo

test: setup interop-tools ## everything that proves it, in a few minutes
	$(RUN) pytest -n 2 --dist worksteal

interop-tools: setup # the clients that the interop tests drive; see tests/interop/install.sh
	@sh tests/interop/install.sh

sim: setup ## random programs and faults, SEEDS=n of them from FIRST=n, or one: SEED=n
	$(RUN) python -m tests.sim $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FIRST),--first $(FIRST)) $(if $(SEED),--seed $(SEED))

conformance: setup ## every case of the catalogue in every setting; writes tests/conformance/README.md
	CONFORMANCE=all $(RUN) pytest tests/conformance -n 2 --dist worksteal

e2e: setup ## only the tests with real processes
	$(RUN) pytest -n 2 --dist worksteal -m e2e

check: setup lint types contracts protos ## format, lint, types, layers, protos

lint:
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types:
	$(RUN) mypy $(SOURCES) tests examples benchmarks
	$(RUN) pyright

contracts:
	$(RUN) lint-imports

protos:
	$(RUN) buf lint
	$(RUN) buf format --diff --exit-code
	$(RUN) sh protos/breaking.sh

generate: setup ## the stubs of our own protocols
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(RUN) buf generate
	$(RUN) python -m restate_codegen.own_stubs

format: setup ## rewrite the sources as the checks want them
	$(RUN) ruff check --fix .
	$(RUN) ruff format .
	$(RUN) buf format --write

bench: setup ## echo and ten-step handlers at 1, 32 and 128 callers; python -m benchmarks.open_calls measures thousands of open calls
	$(RUN) python -m benchmarks.run

clean: ## what the targets above made
	rm -rf .tools .venv .restate dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
