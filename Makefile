# `make demo` and `make test` need nothing but python3 (3.10 to 3.13); both build .venv first where it is missing.

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
EXTRAS := dev,docs,demo,vad,export,cluster,remote,sweep,peers

.PHONY: demo test lint docs bench fuzz chaos .venv

demo: $(STAMP)
	$(VENV)/bin/speechrnn demo

test: $(STAMP)
	$(VENV)/bin/python -m pytest

# Damaged files of every kind that the program reads, COUNT of each: a new seed each time, which is printed.
COUNT ?= 2000
fuzz: $(STAMP)
	PYTHONPATH=tests $(VENV)/bin/python -m fuzz --count $(COUNT)

# Small jobs that are killed and otherwise disturbed so many times, given again until they are done, and compared with
# undisturbed ones: a new seed each time, which is printed.
DISTURBANCES ?= 200
chaos: $(STAMP)
	PYTHONPATH=tests $(VENV)/bin/python -m chaos --count $(DISTURBANCES)

lint: $(STAMP)
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# The guides, the results and the API pages as HTML: build/docs/index.html. A broken link is an error.
docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --quiet
	@echo "build/docs/index.html"

# Every claim of docs/results.md that a minute can show; the whole of each runs without --quick.
bench: $(STAMP)
	set -e; for name in recurrent busy training language generation decoding startup transcribe engine memory sphinx cluster; do \
	  echo "== $$name"; $(VENV)/bin/python benchmarks/$$name.py --quick; done

.venv: $(STAMP)

# On a terminal, pip's progress is one line that changes; its log is shown only where it fails.
# The stamp comes last, so that an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' \
	  || { echo "$(PYTHON) is not Python 3.10 to 3.13: name one that is, as in make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@if [ -L $(VENV) ]; then echo "$(VENV) is a symbolic link, and installing would change what it leads to: remove the link"; exit 1; fi
	@rm -f $@
	@$(VENV)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing into $(VENV): about 6 GB, some minutes (log: $(VENV)/pip.log)"
	@{ $(VENV)/bin/python -m pip install -e '.[$(EXTRAS)]' -c constraints.txt 2>&1 || touch $@.failed; } | tee $(VENV)/pip.log \
	  | if [ -t 1 ]; then awk '/^ *(Collecting|Downloading|Using|Building|Installing)/ { sub(/^ */, ""); printf "\r\033[K%.76s", $$0; fflush() } \
	    END { printf "\r\033[K" }'; else cat >/dev/null; fi
	@if [ -e $@.failed ]; then rm $@.failed; cat $(VENV)/pip.log; exit 1; fi
	@touch $@
