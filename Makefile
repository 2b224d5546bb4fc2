# Every target is a small script, which also runs without make.
.DEFAULT_GOAL := help
.PHONY: help setup quickstart check test bench docs format testbed testbed-down

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv with everything for development, and bundle the pages' code
	@scripts/setup --dev
	@scripts/web

quickstart: ## run a first job on this machine, whatever it has
	@scripts/quickstart

check: ## linters and fast tests: what a commit must pass
	@scripts/check

test: ## everything, with what it needs installed and started
	@scripts/test

bench: ## what a job costs beside a bare docker run, and ten thousand beside one squeue
	@scripts/bench

docs: ## build the documentation into build/docs
	@scripts/docs

format: ## put the code into shape
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

testbed: ## start a small campus cluster here: two Slurms, Grid Engine, PostgreSQL, runtimes
	@testbed/up

testbed-down: ## stop what `make testbed` started
	@testbed/down
