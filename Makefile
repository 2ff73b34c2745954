# make run, make test: they need only Python 3.11 or newer and make.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
PIP := -m pip --disable-pip-version-check
LOCKED := --quiet --require-hashes --no-deps

# The locked pip replaces the one bundled with Python; setuptools, which Python 3.11 adds, is removed.
define own_pip
	$(1)/bin/python $(PIP) install $(LOCKED) -r requirements-pip.lock
	$(1)/bin/python $(PIP) uninstall --quiet --yes setuptools
endef

.PHONY: run test test-long check unit torture kills bench passwords lock digests audit clean

run: .venv/ready
	$(BIN)/neuroflux run $(ARGS)

# Each capability once, on the real parts.
test: check unit
	$(BIN)/pytest -q -m "stack and not long" $(ARGS)

# What proves by repetition: torture, kills, long replays, full disks, and more of each property.
test-long: .venv/ready-dev
	$(BIN)/pytest -q -m long $(ARGS)

# Lint, types and import rules.
check: .venv/ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pure core, the adapters and the simulator: no broker. In a process per core.
unit: .venv/ready-dev
	$(BIN)/pytest -q -n auto -m "not stack and not long" $(ARGS)

# Seeded runs under faults and kills: ARGS="--runs 300 --seed 1".
torture: .venv/ready-dev
	$(BIN)/python -m tests.torture $(ARGS)

# The executor killed before and after every await of its code.
kills: .venv/ready-dev
	NEUROFLUX_KILLS=all $(BIN)/pytest -q -s tests/consumers/execution/test_kills.py $(ARGS)

# Ours, its peers and the theoretical limit, alternating: ARGS="codec book" for some rows. Peers have their own venv.
bench: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks $(ARGS)

# For docker-compose.yml: a password per Kafka principal, added to .env once; to get new ones, delete the old lines.
passwords: .venv/ready
	touch .env && chmod 600 .env
	grep -qs '^NEUROFLUX_BROKER_PASSWORD=' .env || $(BIN)/python -m neuroflux.stack.passwords >> .env

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "NeuroFlux needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv .venv

.venv/pip: requirements-pip.lock | .venv/bin/python
	$(call own_pip,.venv)
	touch $@

.venv/ready: requirements.lock pyproject.toml .venv/pip
	$(BIN)/python $(PIP) install $(LOCKED) -r requirements.lock
	$(BIN)/python $(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/ready-dev: requirements-dev.lock .venv/ready
	$(BIN)/python $(PIP) install $(LOCKED) -r requirements-dev.lock
	touch $@

.venv-bench/ready: requirements-bench.lock requirements-pip.lock pyproject.toml
	$(PYTHON) -m venv .venv-bench
	$(call own_pip,.venv-bench)
	.venv-bench/bin/python $(PIP) install $(LOCKED) -r requirements-bench.lock
	.venv-bench/bin/python $(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv-audit/ready: requirements-audit.lock requirements-pip.lock
	$(PYTHON) -m venv .venv-audit
	$(call own_pip,.venv-audit)
	.venv-audit/bin/python $(PIP) install $(LOCKED) -r requirements-audit.lock
	touch $@

# Resolve the dependencies again and pin them with their hashes.
COMPILE := $(BIN)/uv pip compile -q --generate-hashes --universal --python-version 3.11 --no-header --no-emit-index-url
lock: .venv/ready-dev
	$(COMPILE) pyproject.toml --upgrade --extra stack --extra build --extra test -o requirements-dev.lock
	$(COMPILE) pyproject.toml --extra stack --extra build -c requirements-dev.lock -o requirements.lock
	$(COMPILE) pyproject.toml --extra stack --extra build --extra bench -o requirements-bench.lock
	echo pip | $(COMPILE) - --upgrade -o requirements-pip.lock
	echo pip-audit | $(COMPILE) - --upgrade -o requirements-audit.lock

# Pin the images by digest, not only by tag. It queries the registries, so it needs Docker.
digests:
	sed -nE 's/^ *image: *([^ ]+)$$/\1/p; s/^FROM ([^ ]+).*/\1/p' docker-compose.yml Dockerfile | grep -v '^neuroflux:' | sort -u | \
		while read -r image; do \
			digest=$$(docker buildx imagetools inspect "$${image%@*}" --format '{{.Manifest.Digest}}') || exit 1; \
			sed -i.before -E "s#$$image( |$$)#$${image%@*}@$$digest\1#" docker-compose.yml Dockerfile; \
		done
	rm -f docker-compose.yml.before Dockerfile.before

# Ask PyPI for known vulnerabilities of the pinned versions. Also fails if a package could not be checked.
audit: .venv-audit/ready
	for lock in requirements*.lock; do \
		.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r $$lock || exit 1; \
	done

clean:
	rm -rf .venv .venv-bench .venv-audit data
