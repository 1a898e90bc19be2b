# The commands of this project. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := venv
MAKEFLAGS += --no-print-directory

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/build/prometheus/usr/bin:$(PATH)
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

.PHONY: rehearsal
rehearsal: venv ## a bot goes the whole road to live and back on the demo's VPS, a paper exchange playing Bitget (10 min)
	@python -m embedded_vps.rehearsal

.PHONY: test
test: venv promtool restic lint ## everything that CI runs
	@# The offsite's tests mostly wait.
	@$(MAKE) --jobs=2 --output-sync=target unit offsite-tests
	@$(MAKE) page-test bot-image-tests scenario

.PHONY: lint
lint: venv ## yamllint, ansible-lint (production), ruff, mypy --strict
	@echo "==> yamllint"; yamllint --strict .
	@echo "==> ruff"; ruff check . && ruff format --check --quiet .
	@echo "==> mypy --strict"; mypy $(PYTHON_TREES) && mypy --python-version 3.10 files/bot_exporter files/host_backup files/host_status # Ubuntu 22.04's own Python runs it
	@echo "==> ansible-lint"; ansible-lint --offline --strict

.PHONY: unit
unit: venv promtool ## tests that need no VPS and no container
	@echo "==> unit, property, inventory and template tests"
	@pytest -q -n auto --dist worksteal tests files -m 'not bot_image and not browser and not vps and not offsite'

# The distribution's packages, unpacked and not installed: an installed one would start a server.
.PHONY: promtool
promtool:
	@if ! command -v promtool amtool >/dev/null; then \
	  echo "==> unpacking promtool and amtool into build/prometheus"; \
	  mkdir -p build/prometheus && cd build/prometheus && apt-get update -qq && \
	  apt-get download -qq prometheus prometheus-alertmanager && for package in *.deb; do dpkg -x $$package .; done; rm -f *.deb; fi

.PHONY: restic
restic:
	@if ! command -v restic >/dev/null || [ ! -x /usr/sbin/sshd ]; then \
	  echo "==> installing restic and OpenSSH's server on this machine"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends restic openssh-server >/dev/null; fi

.PHONY: offsite-tests
offsite-tests: venv restic ## the offsite repository against S3 and SFTP servers on this machine
	@echo "==> the offsite repository, on S3 and SFTP servers on this machine"
	@pytest -q -n 2 tests/offsite

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
	@pytest -q -n 6 --dist loadscope files -m 'bot_image and not campaign'  # they mostly wait; the tests of a class share a bot

.PHONY: scenario
scenario: venv restic ## molecule on the embedded VPS: converge, idempotence, verify
	@echo "==> molecule test"
	@# Half a day away, so that the nightly backup does not begin in the middle of a proof.
	@rm -f build/vps_tests.xml
	@HBOT_EMBEDDED_BACKUP_AT=$$(date -u -d '12 hours' +%H:%M) molecule test || { python -m tests.junit build/vps_tests.xml; false; }

.PHONY: dashboards
dashboards: venv ## the demo's dashboards in your browser, drawn by Grafana's front-end packages (needs npm)
	@python -m embedded_vps.screenshots --look

.PHONY: screenshots
screenshots: venv browser ## the pictures of docs/monitoring.md, anew, from the converged embedded VPS (needs npm; 2 min)
	@python -m embedded_vps.screenshots

.PHONY: grafana-schema
grafana-schema: venv ## the schema that the dashboards are checked against, anew, when the role pins another Grafana (needs npm)
	@python -m embedded_vps.screenshots.front_end

.PHONY: audit
audit: venv ## Lynis, ssh-audit, CIS and the CIS Docker Benchmark, before and after site.yml, into docs/audit.md (8 min; empties the VPS)
	@python -m embedded_vps.audit

.PHONY: bench
bench: venv restic ## time the core, the replay beside Hummingbot's, the paper exchange, backups, and the playbooks on the embedded VPS
	@echo "==> the core's decisions"
	@python -m epp.bench.core
	@echo "==> the replay, and Hummingbot's backtesting on the same candles"
	@$(VPS) images
	@python -m epp.bench.replay
	@echo "==> the paper exchange"
	@python -m paper_exchange.bench
	@echo "==> the bot exporter, 20 bots with a week of books"
	@pytest -q -s files/bot_exporter/tests/test_bench.py
	@echo "==> backups of 500 MB, and tar with gzip of the same"
	@python -m tests.bench.backups
	@echo "==> the playbooks"
	@python -m embedded_vps.bench
	@echo "==> how long a bot is away for an update, and for a bare stop and start"
	@python -m tests.bench.update_downtime

.PHONY: bench-scale
bench-scale: venv promtool ## what fleets of 1 to 1,000 bots on 1 to 100 hosts cost the controller and Prometheus (15 min); goes on where it was
	@PYTHONPATH=files python -m tests.scale

# What a replay spends its time in. The rest is read once, is pydantic's, or sums floats, which mypyc does in another order
# of rounding: what is compiled comes to the same, to the last digit.
COMPILED := $(patsubst %,epp/core/%.py,market costs regime sizing spread turnover inventory quoting values ledger guard engine) \
  $(patsubst %,epp/replay/%.py,simulation exchange books_writer market_data) \
  $(patsubst %,epp/report/%.py,chart_series round_trips) \
  $(patsubst %,paper_exchange/matching/%.py,engine orders rules)

.PHONY: compiled
compiled: venv ## compile what a replay spends its time in, with mypyc, into build/compiled; nothing needs it
	@rm -rf build/compiled && mkdir -p build/compiled
	@cp -r files/epp files/paper_exchange files/market build/compiled
	@echo "==> mypyc: $(words $(COMPILED)) modules (minutes)"
	@cd build/compiled && python -m mypyc --strict $(COMPILED) >mypyc.log 2>&1 || { tail -n 20 mypyc.log; exit 1; }
	@echo "use it: PYTHONPATH=build/compiled epp replay …; after a change of the sources, make compiled again"

.PHONY: campaign
campaign: venv kills misbehave conservation ## the long proofs: kills, misbehaviours, 100,000 orders, 2,000 examples of every property (hours)
	@EPP_EXAMPLES=2000 pytest -q -n auto --dist worksteal files/epp/tests/core

.PHONY: misbehave
misbehave: export EPP_MISBEHAVIOURS := all
misbehave: export EPP_MISBEHAVE_RECORD := $(CURDIR)/build/campaigns/misbehaviours.jsonl
misbehave: venv ## a real bot while its exchange misbehaves in 27 ways (90 min; goes on where it was; result in docs/campaigns.md)
	@$(VPS) images
	@pytest -q -s files/epp/tests/adapter/test_misbehaviour.py
	@PYTHONPATH=files python -m epp.tests.adapter.misbehaviours $(EPP_MISBEHAVE_RECORD)

.PHONY: conservation
conservation: export PAPER_EXCHANGE_ORDERS := 100000
conservation: venv ## 100,000 random orders of three accounts on the paper exchange, killed again and again (10 min)
	@pytest -q -s files/paper_exchange/tests/test_conservation.py

.PHONY: kills
kills: export EPP_KILL_ROUNDS := 50
kills: export EPP_KILL_RECORD := $(CURDIR)/build/campaigns/kills.jsonl
kills: venv ## 50 times kill -9 of a bot under fills (40 min; goes on where it was; result in docs/campaigns.md)
	@$(VPS) images
	@status=0; pytest -q -s files/epp/tests/adapter/test_kill_9.py -k at_random_moments || status=$$?; \
	PYTHONPATH=files python -m epp.tests.adapter.kill_record $(EPP_KILL_RECORD) && exit $$status

.PHONY: paper-against-replay
paper-against-replay: export EPP_PAPER_MINUTES ?= 20
paper-against-replay: export EPP_PAPER_TABLE := $(CURDIR)/build/campaigns/paper-against-replay.txt
paper-against-replay: venv ## run a paper bot for 20 minutes, replay the same hours, compare by docs/replay.md
	@$(VPS) images
	@pytest -q -s files/epp/tests/adapter/test_paper_against_replay.py

.PHONY: market-makers
market-makers: export MARKET_MAKER_MINUTES ?= 10
market-makers: venv ## two controllers on Hummingbot's own market-making base, ten minutes each on the paper exchange
	@$(VPS) images
	@pytest -q -s -n 2 files/paper_exchange/tests/test_market_makers.py

.PHONY: torture
torture: venv restic ## 1,000 backups of a database under writing, each restored and judged (an hour); goes on where it was stopped
	@python -m tests.campaigns.backups_under_writing --total 1000

.PHONY: killed
killed: venv ## ansible-playbook killed at 30 random moments of update, backup, rollback and add_bot, on the converged embedded VPS (an hour); goes on where it was stopped
	@python -m tests.campaigns.killed_playbooks --total 30

.PHONY: killed-site
killed-site: venv ## the same 30 times with site.yml alone
	@python -m tests.campaigns.killed_playbooks --total 30 --of site.yml

.PHONY: lost-power
lost-power: venv ## one VPS loses power at each task of its first site.yml in turn (an hour; empties the VPS); goes on where it was stopped
	@$(VPS) images && $(VPS) up
	@python -m tests.campaigns.lost_power --in-a-row

.PHONY: lost-power-alone
lost-power-alone: venv ## a bare VPS for each task (six hours); goes on where it was stopped
	@$(VPS) images && $(VPS) up
	@python -m tests.campaigns.lost_power --total all

.PHONY: raced
raced: venv ## 100 times two playbooks at once, on the converged embedded VPS (an hour and more); goes on where it was stopped
	@python -m tests.campaigns.raced_playbooks --total 100

.PHONY: soak
soak: venv ## three bots and faults at random for a day, on the converged embedded VPS; goes on where it was stopped
	@python -m tests.campaigns.soak --hours 24

.PHONY: faults
faults: venv restic ## thirty faults, each caused for real on the converged embedded VPS (hours); goes on where it was stopped
	@python -m tests.campaigns.faults

.PHONY: alerts
alerts: export HBOT_ALERT_FAULTS := all
alerts: venv ## every alert that a fault can cause, at a receiver, on the converged embedded VPS (30 min)
	@pytest -q -s tests/vps/test_alerts.py

.PHONY: updates
updates: export HBOT_FAULTS := all
updates: venv ## every bad image that an update may meet, and a machine's upgrade that breaks, on the converged embedded VPS (45 min)
	@pytest -q -s tests/vps/test_update.py tests/vps/test_upgrade_host.py

.PHONY: two-vps
two-vps: venv ## bots moved between two embedded VPSs, for real (15 min)
	@$(VPS) images
	@pytest -q -s tests/two_vps

.PHONY: own-controller
own-controller: venv ## a bare embedded VPS converges itself by scripts/deploy.sh (15 min)
	@$(VPS) images && $(VPS) up
	@pytest -q -s tests/own_controller

.PHONY: newcomer
newcomer: venv ## docs/first_vps.md typed on a clean clone, against a bare embedded VPS (10 min)
	@$(VPS) images
	@pytest -q -s tests/newcomer

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
