# The commands of the series. Each first brings .venv up to date, which takes a minute the first time and no time after.
# All paths are relative, so the folder may be called anything.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN = Scripts
else
PYTHON ?= python3
BIN = bin
endif

# VENV=none leaves .venv alone and uses $(PYTHON) as it is, for instance that of an active conda environment.
ifeq ($(VENV),none)
PY = "$(PYTHON)"
ENVIRONMENT = :
else
PY = .venv/$(BIN)/python
ENVIRONMENT = "$(PYTHON)" .ci/environment.py
endif

# A misspelt variable would be ignored in silence.
VARIABLES = PYTHON VENV NB PARAMS JOBS OUT GRID SCHEDULER WORKERS ARGS VARIANTS UPGRADE COURSE MNIST_DIR %_NUM_THREADS
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name)))
UNKNOWN := $(filter-out $(VARIABLES),$(GIVEN))
$(if $(UNKNOWN),$(error there is no variable $(UNKNOWN); there are: $(VARIABLES)))

PLACE = $(if $(OUT),--output-dir "$(OUT)")

.DEFAULT_GOAL = help
.PHONY: help run test lab data execute sweep bench student check-submissions slides site html book test-matrix test-faults test-browser lock clean environment

# Tests share the processors among processes, so each keeps to one thread for its matrix products.
ONE_THREAD = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 VECLIB_MAXIMUM_THREADS=1

help:  ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "make %-17s %s\n", $$1, $$2}' Makefile
	@echo
	@echo 'PYTHON=python3.13 make …        chooses the interpreter of .venv'
	@echo 'make … VENV=none                uses the active environment instead of .venv'

run: environment  ## execute the notebooks into runs/; NB=10 for one, PARAMS="-p hidden_units 64" to change it, JOBS=1 for one at a time, OUT=folder for results elsewhere
	@$(PY) .ci/commands.py run $(NB) $(PARAMS) $(JOBS:%=--jobs %) $(PLACE)

test: environment  ## lint, unit tests of helpers, and the committed outputs of every notebook
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m deptry --no-ansi .
	@$(ONE_THREAD) $(PY) -m pytest -q -rs --nbval --nbval-current-env \
	  -n logical --maxprocesses 4 --dist loadscope $(ARGS)

lab: environment  ## JupyterLab in notebooks/, reachable from this machine only
	@$(PY) -m jupyterlab --ServerApp.ip=127.0.0.1 --LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --ServerApp.root_dir=notebooks $(ARGS)

data: environment  ## fetch MNIST into data/mnist/
	@$(PY) -m helpers.datasets

execute: environment  ## re-execute the notebooks in place and clean them; NB=10 for one
	@$(PY) .ci/commands.py execute $(NB) $(PARAMS)

sweep: environment  ## run NB=10_mnist over GRID="hidden_units=32,128 learning_rate=0.003,0.01"; WORKERS=2 or SCHEDULER=tcp://…
	@$(PY) .ci/commands.py sweep $(NB) $(PARAMS) --grid $(GRID) $(SCHEDULER:%=--scheduler %) $(WORKERS:%=--jobs %) $(PLACE)

bench: environment  ## time the code of notebooks 08, 12 and 14 against the frameworks installed, with one thread and with all; writes runs/bench.json
	@$(PY) .ci/bench.py

student: environment  ## the notebooks without solutions into build/student/, for a class; NB=01_scalar_network for one
	@$(PY) .ci/editions.py $(NB)

check-submissions: environment  ## what nbgrader would stumble over in the submissions of COURSE=folder, before autograde
	@$(PY) .ci/editions.py --check "$(COURSE)"

slides: environment  ## a deck of slides for every notebook into build/slides/; NB=01 for one
	@$(PY) .ci/pages.py slides $(NB)

site: environment  ## the series as a site with search into build/site/; NB=01 for one notebook
	@$(PY) .ci/pages.py site $(NB)

html: site  ## another name of make site

book: environment  ## the series as one PDF into build/book/, printed by Chromium
	@$(PY) .ci/pages.py book $(NB)

test-matrix: environment  ## the output check under other kernels, settings and releases; VARIANTS="Zen-1 path" NB=01_scalar_network
	@$(PY) -m nox -f .ci/noxfile.py $(if $(VARIANTS),-s $(VARIANTS)) $(if $(NB),-- $(NB))

test-faults: environment  ## the slow tests: planted bugs, kills, other parameters, a clock at random pace
	@$(ONE_THREAD) $(PY) -m pytest -q -rs -m faults helpers/tests $(ARGS)

test-browser: environment  ## JupyterLab, slides and site in headless Chromium; screenshots in runs/browser/
	@$(PY) -m pytest -q -rs -m browser helpers/tests/browser $(ARGS)

lock: environment  ## write requirements.txt from pyproject.toml; UPGRADE=--upgrade for newer versions
	@$(PY) -m uv pip compile pyproject.toml --extra dev --output-file requirements.txt $(UPGRADE) \
	  --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --quiet

clean:  ## remove results and caches; keep .venv, the data, and the editions in build, where somebody may have worked
	@rm -rf runs build/slides build/site build/book .pytest_cache .ruff_cache .hypothesis
	@find helpers notebooks .ci -depth \( -name __pycache__ -o -name .ipynb_checkpoints -o -name '*.tmp' \) -exec rm -rf {} +

environment:
	@"$(PYTHON)" -c '' 2>/dev/null || { echo 'There is no working $(PYTHON) here: install Python 3.11 or newer,' \
	  'or name another interpreter, as in PYTHON=python3.13 make test.' >&2; exit 1; }
	@$(ENVIRONMENT)
