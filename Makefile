# The two commands that matter: `make demo` and `make test`. Both install what they need first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# One more than a small machine has cores: tests wait for servers and processes part of the time.
JOBS ?= 3

# What to measure: a folder or a file.
BENCH ?= tests/benchmarks

# All interpreters together.
FUZZ_SECONDS ?= 600

.DEFAULT_GOAL := help
.PHONY: help install demo test long lint types bench fuzz clean

help:
	@echo "make demo    install, fill 90 days of a pretend distributor, open the tower, keep it live"
	@echo "make test    install and run the tests; needs no service"
	@echo "make long    the tests that take more patience: more seeds, seasons and public data"
	@echo "make lint    ruff: rules and format"
	@echo "make types   mypy --strict over all rooms"
	@echo "make bench   benchmarks: one table and docs/benchmarks.md"
	@echo "make fuzz    ten minutes of broken input for every interpreter (FUZZ_SECONDS=600)"
	@echo "make clean   remove the environment and all caches; data in .tower stays"

# The stamp names the folder it was made for: scripts and links inside an environment hold whole
# paths, so one that was moved or copied is made anew. So is one whose making was interrupted.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
$(STAMP): anew
endif
.PHONY: anew
anew:

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "$(PYTHON) was not found. Install Python 3.11 or newer, or run: make PYTHON=/path/to/python3 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is $$($(PYTHON) -V 2>&1); Tower needs Python 3.11 or newer. Run: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test "$$(cat $@ 2>/dev/null)" = "$(CURDIR)" && $(BIN)/python -m pip --version >/dev/null 2>&1 || \
	  $(PYTHON) -m venv --clear $(VENV) || { \
	  echo "$(PYTHON) could not make an environment; on Debian and Ubuntu install python3-venv." >&2; exit 1; }
	@echo "Installing into $(VENV) ..."
	@PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
	  $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@echo "$(CURDIR)" > $@

install: $(STAMP)

demo: $(STAMP)
	@exec $(BIN)/tower demo

# tests/conftest.py puts the files in order, the longest first.
test: $(STAMP)
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

long: $(STAMP)
	@exec $(BIN)/python -m pytest -n $(JOBS) --dist load -m long -q $(ARGS)

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .

types: $(STAMP)
	@$(BIN)/mypy

bench: $(STAMP)
	@KEEP_BENCHMARKS=1 exec $(BIN)/python -m pytest -m benchmark -q -s $(BENCH) $(ARGS)

# atheris has no wheel for every Python; without it the rest is played, and that is said.
fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet \
	  -c constraints.txt -e '.[fuzz]' || true
	@exec $(BIN)/python -m tests.fuzz_interpreters --seconds $(FUZZ_SECONDS) $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
	find . -name __pycache__ -type d -not -path './.tower*' -prune -exec rm -rf {} +
