# The program of the house. Every target sets up .venv first where that has not been done; only Python >= 3.11 and make are needed.
#   make app        serve the app with the embedded models
#   make test       everything: lint, types, unit, browser, notebooks
#   make check      the quick part: lint, types, unit
#   make models     train the embedded models again from their recipes
#   make notebooks  run all notebooks and keep their outputs; one: BOOKS=notebooks/01_steps.ipynb
#   make pictures   make the pictures of the documentation again
PY := .venv/bin/python
CODE := $(wildcard cos workbench app.py tools tests benchmarks)
TYPED := $(wildcard cos workbench app.py)
BOOKS := $(wildcard notebooks/*.ipynb)
QUICK := not browser and not notebook
TIMED = start=$$(date +%s); $(1); status=$$?; echo "$(2): $$(($$(date +%s) - start)) s"; exit $$status

.PHONY: help app test check lint models notebooks pictures setup

help:
	@grep '^#   make' Makefile | cut -c3-

setup: .venv/.set-up

.venv/.set-up: pyproject.toml constraints.txt tools/setup.sh
	@sh tools/setup.sh $(PYTHON)

app: .venv/.set-up
	$(PY) app.py

lint: .venv/.set-up
	$(PY) -m ruff format --check $(CODE)
	$(PY) -m ruff check $(CODE)
	$(PY) -m mypy $(TYPED)

check: lint
	@$(call TIMED,$(PY) -m pytest -q -m "$(QUICK)",unit tests)

test: lint
	@$(call TIMED,$(PY) -m pytest -q -rs --durations=10,tests)

models: .venv/.set-up
	sh tools/train_embedded.sh

notebooks: .venv/.set-up
	$(PY) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False $(BOOKS)

pictures: .venv/.set-up
	sh tools/pictures.sh
