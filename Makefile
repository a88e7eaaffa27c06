# trihull: `make` alone prints this help. Works with GNU make 3.81 and later.
SHELL := /bin/sh
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
RUN := .venv/bin
# The demo's emulated clouds live here, apart from your own local environment.
DEMO_HOME := $(CURDIR)/build/demo
READY := .venv/.ready
# Bytecode is written once and read ever after; the provider SDKs take seconds to compile.
unexport PYTHONDONTWRITEBYTECODE
FOLDERS := architecture unit parity emulated failover e2e
# Processes that run test modules side by side. More than processors: most of tests/failover and tests/e2e is waiting.
WORKERS ?= 3
PYTEST := $(RUN)/pytest --numprocesses $(WORKERS)

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  make test-FOLDER      Run one folder of tests/: $(FOLDERS)"

setup: $(READY) ## Make the virtual environment from uv.lock (needs Python 3.11+ with venv, or uv)

$(READY): pyproject.toml uv.lock infra/pyproject.toml packaging/pyproject.toml runtime/pyproject.toml .ci/setup
	@sh .ci/setup
	@touch $@

demo: $(READY) ## One model, three emulated clouds, a router, an outage: the main job from end to end
	@TRIHULL_HOME="$(DEMO_HOME)" $(PYTHON) -m trihull_infra.demo

clean-demo: $(READY) ## Take the demo down: no process, port or file of it stays
	@TRIHULL_HOME="$(DEMO_HOME)" sh .ci/clean-demo "$(DEMO_HOME)"

test: $(READY) toolchain ## Set up and run all tests but the long ones (at most 15 minutes of two cores)
	@$(PYTEST)

test-fast: $(READY) ## What a change needs before it is committed: tests/architecture and tests/unit (at most 5 minutes)
	@$(PYTEST) tests/architecture tests/unit

test-nightly: $(READY) toolchain ## The long tests, which `make test` leaves out, and the faults that the tests must catch
	@$(PYTEST) -m nightly
	@$(PYTHON) -m tests.mutation --jobs 2

engine: $(READY) ## Find the Pulumi engine, or install it into the user's cache
	@$(PYTHON) -m trihull_infra.engine

toolchain: engine ## What the tests need beside it: Kubernetes' judge of pods, built from its pinned source (needs Go)
	@$(PYTHON) -m tests.toolchain.podsecurity

$(addprefix test-,$(FOLDERS)): $(READY) toolchain
	@$(PYTEST) tests/$(subst test-,,$@)

test-container: $(READY) ## The image in Docker and containerd, and for arm64 under emulation (needs root)
	@sh .ci/container-tools
	@sh .ci/contained $(RUN)/pytest tests/container

test-page: $(READY) ## The router's page in headless Chromium, its alert rules in promtool (root installs them)
	@sh .ci/browser-tools
	@$(RUN)/pytest tests/page

screenshots: $(READY) ## Remake README's pictures from the demo that stands (`make demo`; root installs Chromium)
	@sh .ci/browser-tools
	@$(PYTHON) -m tests.page.screenshots

bench: ## Every benchmark: figures beside their peers, exit code 3 when a target is missed
	@$(MAKE) --no-print-directory --keep-going bench-packaging bench-router

bench-packaging: $(READY) ## Packaging beside Docker, buildah, oras and BentoML (needs root; 5 minutes)
	@sh .ci/container-tools
	@sh .ci/contained $(PYTHON) -m tests.benchmarks.packaging

bench-router: $(READY) ## The router beside Envoy, nginx, HAProxy and Caddy (root installs them; 20 minutes)
	@sh .ci/router-tools
	@$(PYTHON) -m tests.benchmarks.router

check: $(READY) ## Lint, format, types and import contracts
	@$(RUN)/ruff check .
	@$(RUN)/ruff format --check .
	@$(RUN)/lint-imports
	@$(RUN)/mypy

dist: $(READY) ## Build wheels and source distributions of every distribution into dist/ (docs/installing.md)
	@sh .ci/dist dist
	@ls dist

lock: $(READY) ## Resolve uv.lock anew, and the closures that go into the images
	@$(RUN)/uv lock
	@$(PYTHON) -m trihull_packaging.closures

clean: ## Remove what builds leave in the checkout (not the demo: make clean-demo)
	rm -rf dist build/releases build/drill build/bootstrap .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: help setup demo clean-demo test test-fast test-nightly test-container test-page screenshots bench bench-packaging bench-router engine toolchain check dist lock clean $(addprefix test-,$(FOLDERS))
