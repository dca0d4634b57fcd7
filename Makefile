# Every target sets up what it needs; `make` alone says what there is.
# PYTHONS  the versions to work with; those not on this machine are named and left out
# ARGS     passed on: `make demo ARGS="--port 9000"`, `make test ARGS="-k ticket"`
PYTHONS = 3.11 3.12 3.13
ARGS =
SECONDS = 600
export MAKE

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' Makefile

demo: .venv/.demo ## serve a throw-away, seeded server on 127.0.0.1 and print what to try
	@.venv/bin/licentia demo $(ARGS)

test: lint ## lint, types and all but the slow tests, on every Python found
	@.ci/suite "$(PYTHONS)" -m "not slow" $(ARGS)

test-slow: .venv/.test ## the long proofs, on one Python: killed workers, lost databases, races
	.venv/bin/python -m pytest -m slow $(ARGS)

test-all: test test-slow ## everything

interop-setup: .venv/.test ## install SOAP toolkits of other languages, an ERP and shops (as root on Debian)
	@.ci/interop setup

interop: .venv/.test ## run every SOAP toolkit that is installed, and write the matrix in docs/soap.md
	@.ci/interop run

fuzz: .venv/.test ## attack the SOAP services for ten minutes, or SECONDS=3600
	.venv/bin/python -m pytest tests/fuzz -q -m "not slow" --seconds $(SECONDS)

bench: .venv/.test ## measure speed beside references of the same run, and write docs/performance.md
	.venv/bin/python tests/benchmarks/run.py --write docs/performance.md $(ARGS)

lint: .venv/.test ## ruff, mypy --strict, and who may import whom
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports --no-logo

golden: .venv/.demo ## write the published documents, vectors and the reference of the contracts anew; look at the diff
	.venv/bin/licentia contract export tests/golden
	.venv/bin/python -m licentia.cli.contracts_reference docs/plugins/contracts.md

clean: ## remove what these targets made
	rm -rf .venv .venv-* build dist .coverage* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.demo: pyproject.toml
	@.ci/venv .venv "$(PYTHONS)" demo
	@touch $@

.venv/.test: pyproject.toml
	@.ci/venv .venv "$(PYTHONS)" test
	@touch $@ .venv/.demo

.venv-%/.test: pyproject.toml
	@.ci/venv .venv-$* $* test
	@touch $@

.PHONY: help demo test test-slow test-all interop-setup interop fuzz bench lint golden clean
.PRECIOUS: .venv-%/.test
