# Each target works on a fresh checkout: it first makes .venv hold what its lock names (.ci/environment.py), then does its work.
PYTHON ?= python3
BIN := .venv/bin
UV := uv==0.13.8
need = @$(PYTHON) .ci/environment.py

.DEFAULT_GOAL := help
.PHONY: demo run test check crash crash-peers attacks bench bench-peers fuzz lock clean help

demo:  ## Watch the loop at work on real input, at most 30 s (SEED=7 for other values and timing)
	$(need) requirements.lock
	@$(BIN)/mdl demo $(if $(SEED),--seed $(SEED)) $(ARGS)

run:  ## Run the loop on ./mdl.toml until Ctrl-C
	$(need) requirements.lock
	@$(BIN)/mdl run $(ARGS)

test:  ## Run the tests (ARGS="-k journal" for some)
	$(need) requirements-dev.lock
	@$(BIN)/python -m pytest $(ARGS)

check:  ## Rules, format, types, and what may import what
	$(need) requirements-dev.lock
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright --pythonpath $(BIN)/python
	@$(BIN)/lint-imports --no-logo

crash: KILLS ?= 200
crash:  ## Kill the loop KILLS times under load and at every named point, then judge what is left (SEED=7 for other moments)
	$(need) requirements-dev.lock
	@$(BIN)/python -m tests.crash.run --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(ARGS)

crash-peers: KILLS ?= 8
crash-peers:  ## Kill the loop and ansible-rulebook alike, KILLS times each (8), and count what each of them lost
	$(need) requirements-dev.lock
	$(need) requirements-peers.lock .venv-peers
	@$(BIN)/python -m tests.crash.peers --kills $(KILLS) $(if $(SEED),--seed $(SEED)) $(ARGS)

attacks:  ## Play every attack on the guard and its benign twin, judged from outside (ARGS="--class injection", "--mutations")
	$(need) requirements-dev.lock
	@$(BIN)/python -m tests.attacks.run $(ARGS)

bench: BENCH ?= turns formula
bench:  ## Measure durable turns and formulas beside their floors and peers (BENCH=formula for one of them)
	$(need) requirements-bench.lock
	@set -e; for one in $(BENCH); do $(BIN)/python benchmarks/$$one.py $(ARGS); done

bench-peers:  ## Measure formulas over HTTP beside PHP, nginx and MariaDB; it says which Debian packages it needs
	$(need) requirements-bench.lock
	@$(BIN)/python benchmarks/formula_service.py $(ARGS)

fuzz: SECONDS ?= 600
fuzz:  ## Try every parser by atheris, and the HTTP door by schemathesis, for SECONDS (600) in all
	$(need) requirements-dev.lock
	$(need) requirements-fuzz.lock
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(ARGS)

# One after the other: what the runtime lock has pinned binds the three others. UPGRADE=1 takes newer versions.
# The peers' own binds nobody and holds nothing of ours.
compile = @$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)
lock:  ## Write the five locks anew from pyproject.toml (UPGRADE=1 for newer versions)
	$(need)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	$(compile) pyproject.toml --group install --output-file requirements.lock
	$(compile) pyproject.toml --group dev --constraints requirements.lock --output-file requirements-dev.lock
	$(compile) pyproject.toml --group bench --constraints requirements.lock --output-file requirements-bench.lock
	$(compile) pyproject.toml --group fuzz --constraints requirements.lock --output-file requirements-fuzz.lock
	$(compile) --group peers --output-file requirements-peers.lock
	@! grep -nE '://|^ *-(f|i)|--(index-url|extra-index-url|find-links)' requirements*.lock

clean:  ## Remove .venv, .venv-peers, caches and builds; never a journal
	rm -rf .venv .venv-peers .fuzz .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## Show this
	@awk -F ':  ## ' '/^[a-z-]+:  ## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
