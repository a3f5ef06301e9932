# make demo   paints the demo photograph into demo.png
# make test   checks format, lint and types, and runs the tests
# make clean  removes the environment and what was built
#
# Needed: Python 3.11 or later, make, and a package index. Both environments are one, .venv; what
# goes into it is fixed by constraints.txt.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PHOTOGRAPH := build/demo/coffee.png

# Also for what is needed to build, which pip's own option -c leaves out.
export PIP_CONSTRAINT := constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: demo test clean

demo: .venv/demo.stamp
	$(BIN)/python examples/demo.py $(PHOTOGRAPH)
	$(BIN)/python -m bitbrush paint $(PHOTOGRAPH) brushstrokes -o demo.png --size 512
	@echo "The painting is $(CURDIR)/demo.png"

test: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile

.venv/%.stamp: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: no Python found; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "make: $(PYTHON) is older than 3.11; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist demo.png .mypy_cache .ruff_cache .pytest_cache .hypothesis
