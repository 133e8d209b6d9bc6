# `make` lists the targets. Every target installs what it needs into .venv first.
# On another interpreter: make PYTHON=/path/to/python3.12 run

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory
# Images of containers set it; without bytecode each command compiles all of the package anew, 0.3 s, and
# tests start a thousand commands.
unexport PYTHONDONTWRITEBYTECODE

# The first interpreter on the PATH that is new enough.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo "$$p" && break; done)
# Where torch comes from: its CPU builds, a tenth of the CUDA build that PyPI has. For that one: TORCH_INDEX=
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
WORKERS ?= 2
MINUTES ?= 10

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUNS := $(VENV)/.runs
FAMILY := build/family-site
NOTES := build/notes-site
CLUSTER := build/cluster-env
DRIVER := build/browser-site
ENGINE := build/onnxruntime-web
ENGINE_VERSION := 1.30.0
PIP := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
TOOL := $(BIN)/perceiver-graph
REACH := import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=10)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Create .venv and install the package with all it needs to run and be tested

# torch comes first and alone, so that the build of this index is chosen before anything asks for one.
# Without the network it comes from where pip finds it: a folder of wheels, a mirror.
$(READY): $(RUNS)
	@index="$(TORCH_INDEX)"; \
	if test -n "$$index" && ! $(BIN)/python -c "$(REACH)" "$$index/torch/" 2>/dev/null; then \
		echo "$$index cannot be reached: torch comes from where pip finds it (PyPI: the CUDA build, 5 GB)"; \
		index=; \
	fi; \
	$(PIP) torch $${index:+--extra-index-url "$$index"}
	$(PIP) -e ".[torch,media,openvino,dev,docs]"
	@touch $@

# What it takes to compile and to run: no torch.
$(RUNS): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "perceiver-graph needs Python 3.11 or newer on the PATH" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(PIP) -e ".[media]"
	@touch $@

.PHONY: run
run: $(RUNS) ## Show a trained model clips that it never saw: pictures, sound and names come out (a minute)
	@mkdir -p build/run
	@echo "1/4  a film with sound of each of eight scenes, in colours that the model never saw together"
	$(BIN)/python -m recipes.clips.show film -o build/run
	@echo "2/4  the spec, a small specs/kinetics.yaml, and what it has learnt become a program"
	$(TOOL) compile recipes/clips/spec.yaml --weights recipes/clips/weights.safetensors -o build/run/program
	@echo "3/4  the program writes back and names a film, one without sound, and a sound without pictures"
	$(TOOL) run build/run/program build/run/tank.mp4 build/run/silent/siren.mp4 build/run/dark/xylophone.wav -o build/run/out
	@echo "4/4  all eight on one sheet: what went in, what came out, and what is filled in where a part is missing"
	$(BIN)/python -m recipes.clips.show sheet build/run/program build/run/*.mp4 -o build/run/clips.png
	@echo "Look at build/run/clips.png and play build/run/out/tank.mp4. The model of the paper, at full size: make run-kinetics"

.PHONY: run-kinetics
run-kinetics: $(READY) ## Compile specs/kinetics.yaml at full size, fit its last maps to a short video, and run it (5 minutes)
	@mkdir -p build
	@echo "1/4  a short video with sound"
	$(BIN)/python examples/make_clip.py --seconds 1.28 -o build/clip.mp4
	@echo "2/4  weights: random, but for the last maps, which are fitted to this very clip (20 s)"
	$(BIN)/python examples/fit_heads.py build/clip.mp4 -o build/weights.safetensors
	@echo "3/4  the spec becomes a program"
	$(TOOL) compile specs/kinetics.yaml --weights build/weights.safetensors -o build/kinetics
	@echo "4/4  the program autoencodes the video: 2 windows, 128 chunks each (2 minutes)"
	$(TOOL) run build/kinetics build/clip.mp4 -o build/clip
	@echo "Look at build/clip/clip.png (input above, reconstruction below) and play build/clip/clip.mp4."

.PHONY: test
test: lint types ## Lint, check types and run the tests, less the full-size ones (under 15 minutes on 2 cores)
	$(BIN)/python -m pytest -n $(WORKERS)

.PHONY: test-full
test-full: $(READY) ## Run the full-size parity tests, a line of differences a model (they need gigabytes)
	$(BIN)/python -m pytest -m full -s

.PHONY: figures
figures: $(READY) ## Measure again how far systems are from their references: tests/figures.json, and the table of the README
	$(BIN)/python -m pytest --update-cases -k "test_system or test_backends_agree" tests/deepmind/test_equations.py tests/test_systems.py
	$(BIN)/python -m pytest -m full -s --update-cases tests/parity
	$(BIN)/python docs/generate.py

.PHONY: test-family
test-family: $(READY) $(FAMILY)/.ready ## Compare with libraries that have a Perceiver, a line a system (FAMILY_LARGE=1: those of 3 GB too)
	$(BIN)/python -m pytest -n $(WORKERS) -m family tests/family

# Beside the environment, not in it, and without what they depend on: a module of each is all that is used.
$(FAMILY)/.ready: constraints-family.txt | $(READY)
	rm -rf $(FAMILY)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --target $(FAMILY) -r constraints-family.txt
	@touch $@

.PHONY: test-cluster
test-cluster: $(READY) $(CLUSTER)/.ready $(DRIVER)/.ready ## Run batches on a Ray of this machine, a server and its page, and what servers read (fetches 300 MB once)
	PYTHONPATH=$(DRIVER) $(CLUSTER)/bin/python -m pytest -m cluster tests/test_batch_ray.py tests/test_batch_tables.py \
		tests/test_triton.py tests/test_serve.py tests/test_serve_hostile.py tests/browser/test_serve_page.py

# An environment of its own, which finds the packages of .venv behind its own: some of what the engines
# depend on is of other versions there.
$(CLUSTER)/.ready: pyproject.toml | $(READY)
	rm -rf $(CLUSTER)
	$(BIN)/python -m venv $(CLUSTER)
	$(BIN)/python -c "import sys, sysconfig; own = sysconfig.get_path('purelib', vars={'base': sys.argv[1]}); open(own + '/shared.pth', 'w').write('import site; site.addsitedir(%r)' % sysconfig.get_path('purelib'))" $(CLUSTER)
	$(CLUSTER)/bin/python -m pip install --disable-pip-version-check --quiet "ray[data]>=2.50" "kserve>=0.21,<0.22" "tritonclient[grpc,http]>=2.60"
	@touch $@

.PHONY: test-browser
test-browser: $(READY) $(DRIVER)/.ready ## Open pages in Chromium as mouse and keyboard do, and run systems on onnxruntime-web
	@$(MAKE) $(ENGINE)/.ready || echo "npm did not bring onnxruntime-web: what needs it is skipped" >&2
	PYTHONPATH=$(DRIVER) $(BIN)/python -m pytest -s -m browser tests/browser

# What runs programs in a browser and in node: three files of a package that has 150 MB.
$(ENGINE)/.ready:
	rm -rf $(ENGINE)
	mkdir -p $(ENGINE)
	cd $(ENGINE) && npm pack --silent --fetch-retries=1 onnxruntime-web@$(ENGINE_VERSION)
	tar -xzf $(ENGINE)/onnxruntime-web-$(ENGINE_VERSION).tgz -C $(ENGINE) --strip-components=2 \
		$(addprefix package/dist/,ort.wasm.min.js ort-wasm-simd-threaded.mjs ort-wasm-simd-threaded.wasm)
	rm $(ENGINE)/onnxruntime-web-$(ENGINE_VERSION).tgz
	@touch $@

.PHONY: in-browser
in-browser: $(RUNS) $(ENGINE)/.ready ## Make the model that runs on a page of the site, for `make docs` (needs npm)
	$(BIN)/python docs/in_browser.py $(ENGINE) -o build/in-browser

.PHONY: screenshots
screenshots: $(READY) $(DRIVER)/.ready $(NOTES)/.ready ## Renew the pictures in docs/pictures that commands make (needs Chromium)
	PYTHONPATH=$(DRIVER):$(NOTES):. $(BIN)/python docs/screenshots.py

# What drives the browser. The browser is the system's, or playwright's own where that can be fetched.
$(DRIVER)/.ready: | $(READY)
	rm -rf $(DRIVER)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --target $(DRIVER) playwright==1.65.2
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || test -n "$$CHROMIUM" \
		|| PYTHONPATH=$(DRIVER) timeout 200 $(BIN)/python -m playwright install chromium \
		|| echo "no Chromium can be fetched: install the package chromium, or name one, CHROMIUM=PATH"
	@touch $@

.PHONY: evaluate
evaluate: $(READY) $(NOTES)/.ready ## Measure the trained models of recipes/ on data that they never saw (fetches 600 MB once)
	PYTHONPATH=$(NOTES) $(BIN)/python -m recipes evaluate $(ARGS)

train-sounds: $(NOTES)/.ready
train-%: $(READY) ## Train a model of recipes/ anew, or go on: make train-text (up to half an hour on 2 cores)
	PYTHONPATH=$(NOTES) $(BIN)/python -m recipes train $*

# What plays the notes, beside the environment and without what it would play them aloud with.
$(NOTES)/.ready: | $(READY)
	rm -rf $(NOTES)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --target $(NOTES) tinysoundfont==0.3.7
	@touch $@

.PHONY: test-install
test-install: $(READY) ## Install into clean environments: each extra, the lowest versions, every Python that is here
	$(BIN)/python -m pytest -m install

.PHONY: fuzz
fuzz: $(READY) ## Fuzz specs, artifacts, checkpoints, media, command lines and faults (MINUTES=10)
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

.PHONY: bench
bench: $(READY) ## Time every system beside transformers (an hour on 2 cores; ARGS="--works kinetics-chunk" for some)
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: check
check: lint types test ## All that must pass before a commit

.PHONY: lint
lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(READY) ## Check types (mypy --strict)
	$(BIN)/mypy

.PHONY: format
format: $(READY) ## Format the code and apply the safe fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: cases
cases: $(READY) ## Rewrite the expected text in tests/cases (read the diff before you commit)
	$(BIN)/python -m pytest -k cases --update-cases

.PHONY: pages
pages: $(READY) ## Run the commands of docs/tasks at full size and renew what comes out of them (minutes)
	$(BIN)/python docs/pages.py

.PHONY: docs
docs: $(READY) ## Build the documentation as a site: build/site/index.html, with search, no server needed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open build/site/index.html"

.PHONY: gallery
gallery: $(READY) ## Measure the trained models and renew docs/gallery.md (minutes; ARGS=clips for one)
	$(BIN)/python -m recipes gallery $(ARGS)

.PHONY: schema
schema: $(READY) ## Rewrite specs/schema.json from the models
	@mkdir -p build
	$(TOOL) schema > build/schema.json
	mv build/schema.json specs/schema.json

.PHONY: clean
clean: ## Remove what make wrote, but for .venv
	rm -rf build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find perceiver_graph tests examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
