# make venv   .venv with everything that development needs (Debian packages too, as root)
# make run    the demo: the whole chain on this host, ending by itself
# make test   every test          make lint   style and types
# make clean  removes what make made
PYTHON = /usr/bin/python3
VENV = .venv
BIN = $(VENV)/bin

native = $(wildcard ffi/*.py ffi/*.cdef ffi/native/*.c ffi/native/*.h)
packaging = pyproject.toml setup.cfg setup.py

.PHONY: venv run test lint clean packages-demo packages-test
.DELETE_ON_ERROR:

venv: $(VENV)/.test

run: $(VENV)/.demo
	$(BIN)/rtrd demo

test: $(VENV)/.test
	$(BIN)/python -m pytest

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) build *.egg-info *.so ffi/_*.c .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The stamps: .python (an empty venv), .demo and .test (rtrd with its C extensions and what each needs).
$(VENV)/.python: | packages-demo
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.python $(packaging) $(native) | packages-demo
	rm -f _*.so
	$(BIN)/pip install -q --disable-pip-version-check --use-pep517 -e '.[systemd,demo]'
	touch $@

$(VENV)/.test: $(VENV)/.python $(packaging) $(native) | packages-test
	rm -f _*.so
	$(BIN)/pip install -q --disable-pip-version-check --use-pep517 -e '.[systemd,test]'
	touch $@ $(VENV)/.demo

packages-demo packages-test:
	@.ci/packages $(@:packages-%=%)
