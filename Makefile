# make demo | make test: everything from a bare checkout, with Python and make alone.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: help install demo test lint type bench docs pictures clean
help:
	@echo "make demo     the whole loop on this computer, in about five minutes, with one report"
	@echo "make test     all tests"
	@echo "make lint     style, spelling, floors and types"
	@echo "make bench    the measurements behind docs/results.md"
	@echo "make docs     the documentation as a site, in site/"
	@echo "make pictures the pictures in the README"
	@echo "make install  the virtual environment alone"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "syndrift needs Python 3.11 to 3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install
	$(BIN)/syndrift demo

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell calib decoders envs scripts tests benchmarks docs configs *.md
	$(BIN)/lint-imports
	$(MAKE) type

type: install
	$(BIN)/pyright

bench: install
	$(BIN)/python -m benchmarks

docs: install
	$(BIN)/mkdocs build --strict --quiet

pictures: install
	rm -rf runs/readme
	$(BIN)/syndrift evaluate configs/first_table.toml --out runs/readme
	mkdir -p docs/pictures
	cp runs/readme/ler.png runs/readme/ler-dark.png runs/readme/ler.csv docs/pictures/
	$(BIN)/syndrift calibrate configs/calibrate.toml --out runs/readme/day --history runs/readme/day.sqlite
	cp runs/readme/day/upkeep.png runs/readme/day/upkeep-dark.png runs/readme/day/upkeep.csv docs/pictures/
	$(BIN)/syndrift steer configs/steer_sizes.toml --over environment.memory.distance=3,5,7,9 --seeds 3 --out runs/readme/sizes
	$(BIN)/syndrift steer configs/steer_periods.toml --over environment.drift.0.process.period_s=36000,9000,3600,1800,900,600 --seeds 3 --out runs/readme/periods
	for end in .png -dark.png .csv; do cp runs/readme/sizes/convergence$$end docs/pictures/sizes$$end; done
	$(BIN)/syndrift demo --out runs/readme/demo
	$(BIN)/python docs/report_picture.py runs/readme/demo/report.html docs/pictures/demo
	for end in .png -dark.png .csv; do cp runs/readme/periods/over$$end docs/pictures/periods$$end; done

clean:
	rm -rf .venv build dist site *.egg-info
