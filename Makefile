# make run, make test: nothing else is needed than Python 3.11 or newer and make.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=

.PHONY: run test check unit torture kills bench passwords lock audit clean

run: .venv/ready
	$(BIN)/neuroflux run $(ARGS)

test: check
	$(BIN)/pytest -q $(ARGS)

# Lint, types and import rules.
check: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pure core alone: seconds, no broker.
unit: .venv/ready-dev
	$(BIN)/pytest -q -m "not stack" $(ARGS)

# Seeded runs under faults and kills: ARGS="--runs 300 --seed 1".
torture: .venv/ready-dev
	$(BIN)/python -m tests.torture $(ARGS)

# The executor killed before and after every await of its code.
kills: .venv/ready-dev
	NEUROFLUX_KILLS=all $(BIN)/pytest -q -s tests/consumers/test_kills.py $(ARGS)

# Ours, its peers and the bare limit, in turns: ARGS="codec book" for some of them. Peers have a venv of their own.
bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks $(ARGS)

# For docker-compose.yml: one for each that comes to Kafka, into .env. Made once; who wants new ones deletes the old lines.
passwords: .venv/ready
	touch .env && chmod 600 .env
	grep -qs '^NEUROFLUX_BROKER_PASSWORD=' .env || $(BIN)/python -m neuroflux.stack.passwords >> .env

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "NeuroFlux needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv

.venv/ready: requirements.lock pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

.venv/ready-dev: requirements-dev.lock .venv/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.lock
	touch $@

.venv-bench/ready: requirements-bench.lock pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-bench.lock
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# Resolve the dependencies anew and pin them with their hashes.
lock: .venv/ready-dev
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --upgrade --extra stack --extra build --extra test -o requirements-dev.lock
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --extra stack --extra build -c requirements-dev.lock -o requirements.lock
	$(BIN)/uv pip compile -q pyproject.toml --generate-hashes --universal --python-version 3.11 --no-header \
		--no-emit-index-url --extra stack --extra build --extra bench -o requirements-bench.lock

# Ask PyPI whether a pinned version has a known hole. Fails also where a package could not be asked about.
audit: .venv/ready-dev
	$(BIN)/uvx pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r requirements-dev.lock

clean:
	rm -rf .venv .venv-bench data
