# Tollgate. `make help` says what there is.
SHELL := /bin/sh
.DEFAULT_GOAL := help
# The first Python 3.11 or 3.12 that really runs; name another with PYTHON=...
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do \
  $$p -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' 2>/dev/null \
  && echo $$p && break; done)
PY := .venv/bin/python
# Tests take their own place beside these; a developer's other settings do not reach them.
TEST_ENVIRONMENT := env -u AIRFLOW_HOME -u MLFLOW_TRACKING_URI
TEST_LANES := -n 2 --dist loadfile --no-loadscope-reorder --durations=10
# `make test SEED=7` shuffles the tests; the same seed gives the same order.
TEST_ORDER := $(if $(SEED),--random-order --random-order-seed=$(SEED))

.PHONY: help setup demo demo-simulator test test-fast test-soak test-bi cluster-test lint up down \
  status logs env login clean lock contracts docs bi stream serve audit rotate-signing-key screenshots bench kill-rate catch-up withdraw backtest-rules

help: ## Say what there is.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install what is missing: environment, jars, S3 server (nothing the second time).
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or 3.12 was found: install one, or name it \
	with PYTHON=/path/to/python3.11."; exit 1; }
	@$(PYTHON) -B -m embedded.setup

demo: setup ## Start the platform, run the pipeline through Airflow, say what happened.
	@$(PY) -m embedded up
	@$(PY) -m demo

demo-simulator: setup ## The same with a simulated world: many countries, devices and payment methods.
	@$(PY) -m embedded up
	@$(PY) -m demo --source simulator

test: setup lint ## Run every check and test in two lanes, each on a separate test platform.
	@$(PYTHON) -B -m embedded.setup kafka
	@$(PYTHON) -B -m embedded.setup opensearch
	@$(TEST_ENVIRONMENT) $(PY) -m pytest $(TEST_LANES) $(TEST_ORDER)

test-soak: setup ## Run the endurance tests: a long line, a cluster, Snowflake, half a year.
	@$(TEST_ENVIRONMENT) $(PY) -m pytest -m soak --durations=10

test-fast: setup ## Run the pure tests only: seconds, no service.
	@$(TEST_ENVIRONMENT) $(PY) -m pytest -m "not spark and not postgres and not airflow and not kafka and not stack and not bi and not soak"

test-bi: setup ## Open every dashboard in a headless Chromium, on a separate test platform.
	@$(PYTHON) -B -m embedded.setup superset
	@$(TEST_ENVIRONMENT) $(PY) -m pytest -m bi tests/bi

cluster-test: setup ## Run the jobs on a Spark cluster, with a worker killed in mid-job.
	@$(TEST_ENVIRONMENT) $(PY) -m pytest -m soak tests/cluster

lint: setup ## Check style, types, layers, SQL, and that generated files are fresh.
	@$(PY) -m ruff check --no-cache .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m sqlfluff lint --processes 0 --disable-progress-bar dbt_project/models
	@$(PY) -m bi.generate --check
	@PYTHONPATH=plugins .venv/bin/lint-imports --no-cache

up: setup ## Start the platform.
	@$(PY) -m embedded up

down: ## Stop the platform; nothing of ours keeps running.
	@test ! -x $(PY) || $(PY) -m embedded down

status: setup ## Show each service: state, port, address, memory (JSON=1 for a program).
	@$(PY) -m embedded status $(if $(JSON),--json)

logs: setup ## Show the ends of the logs (FOLLOW=1 to follow, SERVICE=name for one).
	@$(PY) -m embedded logs $(if $(FOLLOW),-f) $(SERVICE)

env: setup ## Print shell exports of the read-only roles, of ROLE=developer for dbt: eval "$(make -s env)"
	@$(PY) -m embedded env $(if $(ROLE),--role $(ROLE))

login: setup ## Print addresses and passwords of the web pages.
	@$(PY) -m embedded login

catch-up: setup ## Trigger the next DAG of windows that wait (DRY=1 lists them), or WHAT="--abandon w --reason r".
	@$(PY) -m demo.catch_up $(WHAT) $(if $(DRY),--dry-run)

withdraw: setup ## Take back a payment, party or delivery: WHAT="--source s --payment p --reason r" (DRY=1 shows it).
	@$(PY) -m demo.withdraw $(WHAT) $(if $(DRY),--dry-run)

backtest-rules: setup ## Apply the rules of fraud to the lake (SOURCE=simulator WINDOW=2025-01-01--2025-01-31).
	@$(PY) -m demo.backtest_rules $(if $(SOURCE),--source $(SOURCE)) $(if $(WINDOW),--window $(WINDOW)) \
	  $(if $(JSON),--json)

bi: setup ## Start Superset with the dashboards of bi/superset; say where, and the login.
	@$(PYTHON) -B -m embedded.setup superset
	@$(PY) -m bi

stream: setup ## Start Kafka and its services, stream a simulated world for a minute, show rejects and alerts.
	@$(PYTHON) -B -m embedded.setup kafka
	@$(PYTHON) -B -m embedded.setup opensearch
	@$(PY) -m embedded up --only validator,indexer,scorer,updater
	@$(PY) -m demo.stream

serve: setup ## Start the decision API with Postgres and MLflow; its documentation is at /docs.
	@$(PY) -m embedded up --only api
	@$(PY) -m serving.fill

rotate-signing-key: setup ## Sign new tokens of the decision API with a new key; earlier tokens expire.
	@$(PY) -m embedded rotate-signing-key

audit: setup ## Verify that no row of the decision log was changed or removed since it was written.
	@$(PY) -m serving.audit verify

screenshots: bi ## Take the pictures of docs/images from the running dashboards.
	@$(PY) -m bi.screenshots

clean: setup ## Remove the state folder with all data, after asking (YES=1 does not ask).
	@$(PY) -m embedded clean $(if $(YES),--yes)

contracts: setup ## Write the files that are generated from contracts/.
	@$(PY) -m bi.generate

docs: contracts ## Write the generated pages of docs/.

lock: setup ## Resolve the dependencies of pyproject.toml again.
	@"$${XDG_CACHE_HOME:-$$HOME/.cache}"/tollgate/uv-*/bin/uv pip compile --quiet --universal \
	  --generate-hashes --no-header --group snowflake --group test --group dev --group bench --group simulator \
	  --group streaming --group serving \
	  pyproject.toml -o requirements.lock
	@"$${XDG_CACHE_HOME:-$$HOME/.cache}"/tollgate/uv-*/bin/uv pip compile --quiet --universal \
	  --python-version 3.11 --generate-hashes --no-header bi/superset/requirements.in \
	  -o bi/superset/requirements.lock

bench: setup ## Measure the stages; see benchmarks/README.md.
	@$(PY) -m benchmarks

kill-rate: setup ## Inject each known fault at each hop, on copies: which gate stops it?
	@$(PY) -m benchmarks.kill_rate
