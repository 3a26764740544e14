# Every target sets up what it needs: a virtual environment in .venv, from constraints.txt. Nothing global is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHARED := $(abspath ../shared)
export ASSAY_DATA ?= $(wildcard $(SHARED)/data)
export ASSAY_REFERENCE ?= $(wildcard $(SHARED)/reference)

.PHONY: setup setup-docker setup-browser demo gate test check clean
setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "assay needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[hf,api,code,board,dev,math]'
	mkdir -p .links/assay
	for p in harness tasks sandbox leaderboard; do ln -sfn ../../$$p .links/assay/$$p; done
	touch $@

setup-docker: setup
	sandbox/setup-docker.sh $(BIN)/python

# What the site's tests drive: a Chromium, and PostgreSQL's own programs. Debian's, where this may install them.
setup-browser: setup
	leaderboard/setup-browser.sh

demo: setup
	$(BIN)/assay demo $(addprefix --published ,$(wildcard $(ASSAY_REFERENCE)/dclm))

# The regression gate on the demo's series: the last checkpoint passes, the first is blocked.
gate: setup
	[ -d demo/runs ] || $(MAKE) demo
	.ci/gate

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PYTHONPATH=.links $(BIN)/lint-imports --config pyproject.toml

clean:
	rm -rf $(VENV) .links build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
