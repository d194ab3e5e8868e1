# Unrolled: every command of the project. `make` alone lists them.
# Needs Python >= 3.11 with venv, make and git; everything else is installed into .venv.

PYTHON ?= python3# the interpreter .venv is made from
TORCH ?=# cpu or cuda: which build of PyTorch; chosen by what this machine has where it is not said (see README)
CHAPTER ?=# make execute CHAPTER=03 re-runs that chapter alone
HW ?=# make grade HW=hw01 SUBMISSIONS=dir: a homework's name, or the path of a private one's folder
SUBMISSIONS ?=# make grade: the folder of notebooks that were handed in
REPO ?=# make rehost REPO=https://github.com/you/fork

PY := .venv/bin/python
PIP := $(PY) -m pip install --constraint constraints.txt
# One thread: two on two busy cores are slower than one, and the number changes the last digits. The backend is
# the one every notebook has: the tests' own choice must not reach the kernels they start.
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 UNROLLED_PROGRESS=0 PYTHONHASHSEED=0

ifneq ($(filter-out cpu cuda,$(TORCH)),)
$(error TORCH: got "$(TORCH)", expected cpu, cuda or nothing)
endif

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book test check lab execute bench results pretrained homework grade rehost format clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

book: .venv/.book ## build the site into _build/html, installing first (TORCH=cpu or cuda: which PyTorch)
	@if grep -q 'github.com/your-account/' _config.yml; then \
	  echo "Links and Colab buttons point at a placeholder; 'make rehost REPO=https://github.com/you/fork' sets yours."; fi
	@rm -f _build/html/index.html
	@echo "Building the site (under a minute)"
	@.venv/bin/jupyter-book build . --all -W -n --keep-going
	@test -f _build/html/index.html || { echo "The build ended without _build/html/index.html: read the warnings above."; exit 1; }
	@$(PY) -c 'import pathlib; print("Open", pathlib.Path("_build/html/index.html").absolute().as_uri())'

test: check book .venv/.test .venv/.homework ## everything CI checks: check, book, unit tests, every notebook, the site in a browser
	@$(PY) -m tools.notebooks copies _build/nbval
	@$(PY) -m tools.homework copies _build/nbval
	@echo "Tests: the library, every notebook under nbval, the built site (two at a time, some minutes)"
	@$(ONE_THREAD) $(PY) -m pytest -n 2 --dist loadfile --nbval --nbval-current-env --nbval-cell-timeout=120 \
	  --nbval-sanitize-with tests/nbval_sanitize.cfg tests _build/nbval

check: .venv/.test ## ruff, types of the library, notebook rules: seconds
	@echo "ruff: lint and format"
	@$(PY) -m ruff check --quiet --output-format concise .
	@$(PY) -m ruff format --check --output-format concise . || { echo "Not formatted as ruff would: run make format."; exit 1; }
	@echo "mypy: types of lib/"
	@$(PY) -m mypy
	@$(PY) -m tools.notebooks check

lab: .venv/.book ## open JupyterLab on the chapters
	@$(PY) -m jupyterlab chapters

execute: .venv/.book ## re-run notebooks in fresh kernels and store their outputs (CHAPTER=03: that one)
	@$(ONE_THREAD) $(PY) -m tools.execute $(CHAPTER)

bench: .venv/.book ## measure training steps side by side with torch.nn, print the tables, store them (minutes)
	@$(PY) -m benchmarks.speed.bptt
	@$(PY) -m benchmarks.speed.lstm

results: .venv/.book ## rerun the long sweeps whose stored results the chapters draw (resumable; three hours)
	@$(ONE_THREAD) $(PY) -m benchmarks.sweeps.recall_by_window
	@$(ONE_THREAD) $(PY) -m benchmarks.sweeps.league
	@$(ONE_THREAD) $(PY) -m benchmarks.sweeps.league_text
	@$(ONE_THREAD) $(PY) -m benchmarks.sweeps.ladder
	@$(PY) -m benchmarks.sweeps.quality

pretrained: .venv/.book ## train the three models that come with the library (resumable; about half an hour)
	@$(filter-out UNROLLED_PROGRESS=0,$(ONE_THREAD)) $(PY) -m benchmarks.sweeps.pretrained

homework: .venv/.homework ## build student notebooks, solutions and Gradescope zips from homework/ into dist/
	@$(ONE_THREAD) $(PY) -m tools.homework

grade: .venv/.book ## grade a folder of notebooks in a sandbox (HW=hw01 SUBMISSIONS=dir)
	@$(filter-out UNROLLED_PROGRESS=0,$(ONE_THREAD)) $(PY) -m homework.grader '$(or $(HW),$(error HW: expected a homework, such as hw01, got nothing))' \
	  '$(or $(SUBMISSIONS),$(error SUBMISSIONS: expected the folder of notebooks that were handed in, got nothing))'

rehost: ## point every link at a fork (REPO=https://github.com/you/fork; default: the clone's origin)
	@"$(PYTHON)" -m tools.rehost $(if $(REPO),'$(REPO)')

format: .venv/.test ## let ruff format code and notebooks and mend what it can
	@$(PY) -m ruff format .
	@$(PY) -m ruff check --fix .

clean: ## remove what was built (.venv stays: rm -r .venv removes that too)
	rm -rf _build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find lib tools tests chapters homework -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps: an install happens again only when what is asked for has changed.
.venv/.book: pyproject.toml constraints.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "PYTHON: found no '$(PYTHON)'; expected a Python of at least 3.11. Name one: make book PYTHON=python3.12"; exit 1; }
	@$(PY) -c '' 2>/dev/null || { "$(PYTHON)" tools/preflight.py && echo "Making .venv with $$("$(PYTHON)" --version)" && "$(PYTHON)" -m venv --clear .venv; }
	@options="$$($(PY) tools/torch_build.py '$(TORCH)')" && { [ -z "$$options" ] || $(PIP) $$options torch; }
	@echo "Installing the book's tools and the library into .venv (one to some minutes, PyTorch above all)"
	$(PIP) --editable '.[book]'
	@touch $@

.venv/.homework: .venv/.book
	@echo "Installing Otter Assign into .venv"
	$(PIP) --editable '.[homework]'
	@touch $@

.venv/.test: .venv/.book
	@echo "Installing the test tools into .venv"
	$(PIP) --editable '.[test,cluster]'
	@touch $@
