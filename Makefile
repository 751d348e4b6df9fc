# Every command starts with the set-up, which installs what is missing and is quick the next time.
# Arguments for the demo: make run ARGS="--web.listen-address=:0"

.DEFAULT_GOAL := help
.PHONY: help run test unit test-python test-pythons test-lowest soak busy lint format generate docs bench image-test release \
	release-check chart lock clean setup setup-unit setup-dev setup-soak

# Hundreds of processes start: what was compiled once is not compiled again.
unexport PYTHONDONTWRITEBYTECODE

# `make test-python PYTHON=3.13` says which one; everything else runs in .venv.
VERSION_OF_PYTHON := $(PYTHON)
override PYTHON := .venv/bin/python
ARGS ?=
# What of the tests `make test`, `make unit` and `make test-python` run: files, folders, or a test by FILE::NAME.
PART ?=
PYTEST := -m pytest --quiet --dist=loadfile --no-loadscope-reorder

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|'

run: setup ## Start a throw-away ZooKeeper with a living tree and the exporter on it
	@echo "run: starting the demo"
	@$(PYTHON) -m exporter demo $(ARGS)

test: lint ## Check format, lint and types, then run the tests (PART=tests/web for a part of them)
	@echo "test: pytest $(PART)"
	@$(PYTHON) $(PYTEST) --numprocesses=3 $(PART)

unit: setup-unit ## Run the tests that start no server and no browser, which takes less than a minute (PART=...)
	@echo "unit: pytest $(PART)"
	@$(PYTHON) $(PYTEST) --numprocesses=2 -m unit $(PART)

test-python: setup-dev ## Run the tests with another Python, in an environment of its own (PYTHON=3.13, PART=...)
	@sh scripts/test-python.sh $(VERSION_OF_PYTHON) $(PART)

test-pythons: setup-unit ## Run the unit tests with each supported Python that is installed, and say which are not
	@sh scripts/test-pythons.sh

test-lowest: setup-dev ## Run part of the tests with the lowest versions of every library that pyproject.toml allows
	@sh scripts/test-lowest.sh $(ARGS)

soak: setup-soak ## Run the long forms: a million simulated schedules, hundreds of faulty ones, big trees, many cycles
	@echo "soak: a million simulated schedules"
	@$(PYTHON) -m tests.simulation 1000000 --schedules 1000000 --jobs 2
	@$(MAKE) --no-print-directory $(RELEASES:%=.releases/%/.stamp)
	@echo "soak: faults at real servers, and an upgrade of them"
	@SOAK=1 ZOOKEEPER_UPGRADE="$${ZOOKEEPER_UPGRADE:-$$(echo $(JARS) | tr ' ' ':')}" \
		$(PYTHON) -m pytest --quiet --timeout=3600 tests/faults
	@echo "soak: an hour on call, at the windows that are shipped"
	@$(PYTHON) -m tests.oncall --write
	@echo "soak: every case of the rules with all of them"
	@SOAK=1 $(PYTHON) -m pytest --quiet --timeout=3600 tests/rules
	@echo "soak: an hour of faults and scrapes, and the curve of memory"
	@$(PYTHON) -m tests.soak 60
	@echo "soak: kazoo's own tests with every client instrumented"
	@$(MAKE) --no-print-directory .kazoo-venv/.stamp
	@$(PYTHON) -m tests.kazoo_suite .kazoo-venv/bin/python
	@echo "soak: hostile input"
	@SOAK=1 $(PYTHON) -m pytest --quiet --timeout=3600 tests/config tests/pages tests/web tests/zookeeper tests/integration/test_web_hostile.py
	@echo "soak: packs with Patroni and Spark, and other releases of ZooKeeper"
	@$(MAKE) --no-print-directory .patroni-venv/.stamp .bench-venv/.stamp
	@SOAK=1 $(PYTHON) -m pytest --quiet --timeout=3600 tests/systems
	@echo "soak: make test on a busy machine"
	@$(MAKE) --no-print-directory busy

# kazoo's tests make their certificates with a pyOpenSSL that is too old for the project's own environment.
.kazoo-venv/.stamp:
	@echo "soak: installing what kazoo's tests need into .kazoo-venv"
	@$(PYTHON) -m venv .kazoo-venv
	@.kazoo-venv/bin/python -m pip install --quiet --editable '.[daemon]' pyopenssl==23.2.0 pyjks objgraph gevent eventlet pytest pytest-timeout
	@touch $@

# Patroni is a program of its own, and may need other libraries than the tests.
.patroni-venv/.stamp:
	@echo "soak: installing Patroni into .patroni-venv"
	@$(PYTHON) -m venv .patroni-venv
	@.patroni-venv/bin/python -m pip install --quiet 'patroni[zookeeper]==4.1.5' kazoo==2.11.0 'psycopg[binary]==3.3.9'
	@touch $@

# Releases of Spark whose jars have ZooKeeper 3.4.14, 3.6.3 and 3.9.
RELEASES = 3.1.3 3.5.9 4.3.0
JARS = "$$PWD"/.releases/*/lib/python3*/site-packages/pyspark/jars

.releases/%/.stamp:
	@echo "soak: installing the ZooKeeper of Spark $* into .releases"
	$(call install_spark,$*)

# Spark's jars, in an environment of its own, which the target's folder becomes.
define install_spark
@$(PYTHON) -m venv $(@D)
@$(@D)/bin/python -m pip install --quiet setuptools wheel
@$(@D)/bin/python -m pip install --quiet --no-deps --no-build-isolation pyspark==$(1)
@touch $@
endef

busy: setup-dev ## Run make test five times in a row beside two processes that take all they can get
	@sh scripts/busy.sh

lint: setup-dev ## Check format, lint and types
	@echo "lint: ruff format"
	@$(PYTHON) -m ruff format --quiet --check --diff .
	@echo "lint: ruff check"
	@$(PYTHON) -m ruff check --quiet .
	@echo "lint: mypy --strict"
	@$(PYTHON) -m mypy --no-error-summary

format: setup-dev ## Format the code and mend what ruff can mend
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

generate: setup-dev ## Write every file that follows from others: metrics, schema, rules, dashboards, chart, scrapes
	@$(PYTHON) -m scripts.generate $(ARGS)

docs: ## Build the documents as a site in dist/docs, and check every link
	@sh scripts/docs.sh

bench: setup-dev $(if $(filter curator,$(PEER)),.bench-venv/.stamp) ## Compare with kazoo's TreeCache, with PEER=curator also with Curator's caches
	@echo "bench: the peers in turn on the same trees"
	@$(PYTHON) -m bench.suite $(if $(filter curator,$(PEER)),$(CURATOR)) $(ARGS)

# Curator's jars come with Spark's; they are no part of the project's own environment.
CURATOR = --curator "$$(echo .bench-venv/lib/python3*/site-packages/pyspark/jars)" --peers kazoo,ours,tree-cache,curator-cache

.bench-venv/.stamp:
	@echo "bench: installing Curator's jars into .bench-venv"
	$(call install_spark,4.0.1)

image-test: setup-dev ## Build the image with buildah on a base of its own, and try it (as root)
	@sh scripts/image-test.sh

release: setup-unit ## Cut a release: version, changelog and chart (VERSION=0.2.0), and say what to do next
	@$(PYTHON) -m scripts.release $(VERSION)

release-check: setup-dev ## Build wheel, sdist, chart and list of dependencies into dist/, and check them
	@sh scripts/release-check.sh

chart: setup-dev ## Write what in the Helm chart follows from other files, and pack it into dist/
	@$(PYTHON) -m scripts.generate chart
	@PATH="$$PWD/.venv/bin:$$PATH" helm package helm/treecache-exporter --destination dist

lock: ## Resolve requirements/*.txt anew from pyproject.toml (ARGS=--upgrade for newer versions)
	@sh scripts/lock.sh $(ARGS)

setup: ## Install what `make run` needs
	@sh scripts/setup.sh run

setup-unit: ## Install what `make unit` needs
	@sh scripts/setup.sh unit

setup-dev: ## Install what `make test` needs
	@sh scripts/setup.sh dev

setup-soak: ## Install what `make soak` needs
	@sh scripts/setup.sh soak

clean: ## Remove the environment and every cache
	@echo "clean: removing .venv and caches"
	@rm -rf .venv .venv-3.* .docs-venv site .bench-venv .kazoo-venv .patroni-venv .releases .image-test .mypy_cache .pytest_cache .ruff_cache .hypothesis dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
