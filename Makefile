# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := core $(wildcard plugins/*_plugin)
SOURCES := $(addsuffix /src,$(PACKAGES) $(wildcard examples/*))

.PHONY: install demo test slow lint format docs catalogue bench faults clean
.DEFAULT_GOAL := help

help:  ## what each target does
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

install: $(VENV)/.installed  ## a virtual environment with the project and its tools

# torch goes first: asked for by another package, newer ones bring gigabytes of CUDA with them.
$(VENV)/.installed: requirements-dev.txt constraints.txt pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES))
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet torch -c constraints.txt
	$(BIN)/pip install --quiet -r requirements-dev.txt -c constraints.txt
	touch $@

demo: install  ## the whole journey on the built-in corpus, in the folder demo/
	rm -rf demo
	$(BIN)/llm quickstart demo

test: install  ## every test but those of `make slow`
	$(BIN)/python -m pytest -n auto

slow: install  ## the tests that take long: wheels and other programs in environments of their own, long runs
	$(BIN)/python -m pytest -m slow

lint: install  ## ruff, mypy, the direction of imports, the generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(SOURCES)
	$(BIN)/lint-imports

format: install  ## let ruff arrange the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: install  ## write the generated pages: docs/commands.md and the tables of docs/plugins
	$(BIN)/python docs/generate_commands.py
	$(BIN)/python docs/generate_plugin_pages.py

catalogue: install  ## write the list of first-party parts from the packages themselves
	$(BIN)/python core/write_catalogue.py

bench: install  ## speed and memory of everything, beside its peers where it has any
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/tokenizer_speed.py
	$(BIN)/python benchmarks/data.py --tokenizer none bpe sentencepiece-unigram
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/callbacks.py
	$(BIN)/python benchmarks/generate.py
	$(BIN)/python benchmarks/serve.py

faults: install  ## kill, fill the disk, damage files: what docs/reliability.md reports
	$(BIN)/python -m tests.faults

clean:  ## remove the virtual environment and what was built
	rm -rf $(VENV) demo build dist
