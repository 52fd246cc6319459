# Every target makes the environment .venv if it is missing, and does all else.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TWO    := -n 2 --no-loadscope-reorder

export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: setup demo test browser slow check bench bench-search clean

setup: $(VENV)/ready

$(VENV)/ready: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/kerastl demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest $(TWO) -m "not slow and not figures"

# What the test of the page needs: Debian's chromium, Node.js, and playwright-core. Only what
# is missing is installed: a Node.js of another source brings its own npm, and Debian's conflicts.
browser:
	@need=; \
	for name in chromium chromium-browser google-chrome; do \
		command -v $$name >/dev/null && break; \
	done || need=chromium; \
	command -v npm >/dev/null || need="$$need nodejs npm"; \
	if [ -z "$$need" ]; then exit 0; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -q && apt-get install -q -y --no-install-recommends $$need; \
	else echo Install $$need, then run make browser again. >&2; exit 1; fi
	cd tests/browser && npm ci --no-audit --no-fund --ignore-scripts

slow: setup
	$(BIN)/python -m pytest $(TWO) -m slow

check: test slow
	$(BIN)/python -m pytest -m figures

# make bench WRITE=--write puts the table into benchmarks/README.md.
bench: setup
	$(BIN)/python benchmarks/all.py $(WRITE)

# Half an hour, for plain KerasTuner's sake.
bench-search: setup
	$(BIN)/python benchmarks/all.py --search $(WRITE)

clean:
	rm -rf $(VENV) build *.egg-info
