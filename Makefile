# `make demo` and `make test` need nothing but python3 (3.10 to 3.13); both build .venv first where it is missing.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: demo test lint bench .venv

demo: $(STAMP)
	$(VENV)/bin/speechrnn demo

test: $(STAMP)
	$(VENV)/bin/python -m pytest

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Every claim of docs/results.md that a minute can show; the whole of each runs without --quick.
bench: $(STAMP)
	set -e; for name in recurrent training language generation decoding startup transcribe engine memory sphinx cluster; do \
	  echo "== $$name"; $(VENV)/bin/python benchmarks/$$name.py --quick; done

.venv: $(STAMP)

# The stamp comes last, so that an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	  || { echo "$(PYTHON) is not Python 3.10 to 3.13: name one that is, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	rm -f $@
	$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install -e '.[dev,docs,demo,vad,export,cluster,remote,sweep,peers]' -c constraints.txt
	touch $@
