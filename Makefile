# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := venv
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# One home per checkout: runs of two checkouts never share a control socket or a fact cache.
export ANSIBLE_HOME := $(CURDIR)/.ansible
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONDONTWRITEBYTECODE := 1

VPS := python -m embedded_vps
PYTHON_TREES := files plugins embedded_vps tests

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: .venv/installed ## build .venv, the one environment everything here runs in

.venv/installed: requirements.lock pyproject.toml
	@python=$$(./find-python) || exit 1; \
	echo "==> .venv with $$($$python --version) ($$python)"; \
	$$python -m venv --clear .venv
	@echo "==> installing $$(grep -c '==' requirements.lock) pinned packages"
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@

.PHONY: demo
demo: venv ## boot an embedded VPS, converge it, and show bot1 making paper fills
	@python -m embedded_vps.demo

.PHONY: demo-down
demo-down: venv ## remove the demo's machines; images and package caches stay
	@$(VPS) down

.PHONY: test
test: venv lint unit page-test bot-image-tests scenario ## everything that CI runs

.PHONY: lint
lint: venv ## yamllint, ansible-lint (production), ruff, mypy --strict
	@echo "==> yamllint"; yamllint --strict .
	@echo "==> ruff"; ruff check . && ruff format --check --quiet .
	@echo "==> mypy --strict"; mypy $(PYTHON_TREES)
	@echo "==> ansible-lint"; ansible-lint --offline --strict

.PHONY: unit
unit: venv ## tests that need no VPS and no container
	@echo "==> unit, property, inventory and template tests"
	@pytest -q -n auto --dist worksteal tests files -m 'not bot_image and not browser and not vps'

.PHONY: page-test
page-test: venv browser ## the report's page, looked at in a real browser
	@echo "==> the report's page in Chromium"
	@pytest -q files -m browser

.PHONY: browser
browser:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null; then \
	  echo "==> installing chromium on this machine"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; fi

.PHONY: bot-image-tests
bot-image-tests: venv ## the adapter in real Hummingbot, inside the bot image
	@$(VPS) images
	@echo "==> the adapter inside the bot image"
	@pytest -q files -m bot_image

.PHONY: scenario
scenario: venv ## molecule on the embedded VPS: converge, idempotence, verify
	@echo "==> molecule test"
	@molecule test

.PHONY: bench
bench: venv ## time the core's decisions, and the playbooks on the embedded VPS
	@echo "==> the core's decisions"
	@python -m epp.bench
	@echo "==> the playbooks"
	@python -m embedded_vps.bench

.PHONY: campaign
campaign: venv ## the long proofs: 50 kills of a bot under fills, 2,000 examples of every property (hours)
	@$(VPS) images
	@EPP_KILL_ROUNDS=50 pytest -q files -m bot_image -k kill_9
	@EPP_EXAMPLES=2000 pytest -q -n auto --dist worksteal files/epp/tests/core

.PHONY: lock
lock: venv ## pin the development dependencies anew (needs uv)
	@uv pip compile --quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links \
	  --python-version 3.12 --group dev pyproject.toml -o requirements.lock

.PHONY: collection
collection: venv ## build the collection's tarball into build/
	@ansible-galaxy collection build --force --output-path build

.PHONY: clean
clean: ## remove what the commands above made, the machines and their caches included
	@if [ -x .venv/bin/python ]; then $(VPS) purge; fi
	@rm -rf .venv .ansible build
