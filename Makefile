# make            set up what is missing, run the demo, say where the report is
# make test       the same set-up with the test tools, then every check
# make setup      the set-up alone
# make clean      remove .venv and the caches of the tools; results stay
# make lock       resolve the locked versions anew (needs uv)
# make help       this list
#
# PYTHON=...      the interpreter, 3.11 or 3.12      CORES=...   for Snakemake (default: all)
# TORCH=...       the build of torch to install      ARGS=...    more arguments for Snakemake or pytest
# WORKERS=...     test files at a time (default: 2)

CORES ?= all
ARGS ?=
WORKERS ?= 2
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := "$(BIN)/python" -m pip --disable-pip-version-check install
LOCKED := $(PIP) -qq --require-hashes --no-build-isolation --requirement

TESTS = "$(BIN)/python" -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

# An installation is finished when its stamp is there; other locks, another torch or another folder need another.
KEY := $(shell (cat requirements.lock requirements-test.lock; echo "$(TORCH) $(CURDIR)") | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/.installed-$(KEY)
INSTALLED_TEST := $(VENV)/.installed-test-$(KEY)

.DEFAULT_GOAL := all
.PHONY: all setup test lock clean help tests report results
.NOTPARALLEL:

all: setup
	@live=; if [ -t 2 ]; then live="--logger bench"; fi; PATH="$(BIN):$$PATH" PYTHONPATH="$(CURDIR)/workflow/logger" \
		"$(BIN)/python" -m snakemake --cores $(CORES) $$live all $(ARGS)

setup: $(INSTALLED)

# The backend that builds kenlm from source is installed first, from the lock like everything else.
$(INSTALLED): export PYTHON := $(PYTHON)
$(INSTALLED):
	@python=$$(sh workflow/setup/check.sh .) && echo "Setting up $(VENV) with $$python" && \
		sh workflow/setup/clear.sh $(VENV) && "$$python" -m venv $(VENV)
	@awk '/^setuptools==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements.lock > $(VENV)/build.lock
	$(LOCKED) $(VENV)/build.lock
	$(LOCKED) requirements.lock
	$(PIP) $(TORCH)
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(INSTALLED_TEST): $(INSTALLED)
	$(LOCKED) requirements-test.lock
	@touch $@

# The types are checked beside the tests, which take longer, and told last; a fault of either is one of the whole.
test: $(INSTALLED_TEST)
	"$(BIN)/python" -m ruff check .
	"$(BIN)/snakefmt" --check --compact-diff Snakefile workflow
	@{ "$(BIN)/python" -m mypy && MYPYPATH=benchmarks "$(BIN)/python" -m mypy benchmarks; } > $(VENV)/types.log 2>&1 & \
		types=$$!; $(TESTS); tests=$$?; wait $$types; types=$$?; cat $(VENV)/types.log; exit $$((tests | types))

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-package torch \
	--no-annotate --quiet --custom-compile-command "make lock"
lock:
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra test --constraint requirements.lock --output-file requirements-test.lock

clean:
	@sh workflow/setup/clear.sh $(VENV) && rm $(VENV)/.latent-text-bench && { rmdir $(VENV) 2>/dev/null || true; }
	rm -rf .mypy_cache .pytest_cache .ruff_cache *.egg-info

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

# A target that is none; the folders among them would be up to date.
tests report results .DEFAULT:
	@echo "There is no target $@. Those of make are below; those of the workflow: snakemake --list" >&2
	@$(MAKE) --no-print-directory help >&2; exit 2
