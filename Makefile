# The front door. Every target installs what it needs first; a second run finds it there and needs no network.
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench-intake bench-bombs bench-photos bench-where bench-places bench-city bench-push bench-hosts bench-tiles bench-plans bench-matching eval-matching drill-crash drill-intake fuzz-photos drill-push drill-webpush drill-races drill-edges lock clean

BIN := .venv/bin

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.runtime ## Run Jalon with Montréal and Laval, tell the story, keep serving (Ctrl-C stops)
	@exec $(BIN)/jalon demo

test: .venv/.dev ## Run all tests
	@$(BIN)/pytest -n 3 --dist worksteal

check: .venv/.dev ## Lint, types, import contracts, migrations against tables
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/jalon db check

format: .venv/.dev ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench-intake: .venv/.dev ## Reports a second, beside bare PostgreSQL
	$(BIN)/python -m bench.intake

bench-bombs: .venv/.dev ## Reports' latency under bombs and heavy photos
	$(BIN)/python -m bench.bombs

bench-photos: .venv/.dev ## CPU and memory of a photo, beside plain Pillow
	$(BIN)/python -m bench.photo_costs

bench-where: .venv/.dev ## Point to city and districts, beside PostGIS
	$(BIN)/python -m bench.where

bench-places: .venv/.dev ## Addresses to places and back, districts of positions: hits, ms, calls a second
	$(BIN)/python -m bench.places

bench-city: .venv/.dev ## A city's raw files to its first routed report
	$(BIN)/python -m bench.new_city

bench-push: .venv/.dev ## Pushes a second from a change of status, beside firebase-admin's own loop
	$(BIN)/python -m bench.push

bench-hosts: .venv/.dev ## What a push host that hangs or is dead costs the others
	$(BIN)/python -m bench.push_hosts

bench-tiles: .venv/.dev ## Map tiles with a million issues, beside plain ST_AsMVT
	$(BIN)/python -m bench.tiles

bench-plans: .venv/.dev ## Plans of the searches on a million rows
	$(BIN)/python -m bench.searches

bench-matching: .venv/.dev ## Finding and scoring candidates, from 10 thousand to 3 million issues
	$(BIN)/python -m bench.neighbours

eval-matching: .venv/.dev ## Precision and recall of matching (DATA=folder)
	$(BIN)/python -m bench.matching

drill-crash: .venv/.dev ## Kill API and worker 30 times under load
	$(BIN)/python -m bench.drill

drill-intake: .venv/.dev ## 200 phones on bad lines, with API, worker and PostgreSQL killed
	$(BIN)/python -m bench.intake_drill

fuzz-photos: .venv/.dev ## 20 000 damaged photos through the API (DATA=folder: more to damage)
	$(BIN)/python -m bench.photo_fuzz

drill-push: .venv/.dev ## 10 000 changes to 20 followers each, with 200 kills and a failing provider
	$(BIN)/python -m bench.push_drill

drill-webpush: .venv/.dev .venv/.webpush ## Web Push bodies and signatures, read by node and npm's http_ece
	$(BIN)/python -m bench.webpush_drill

drill-races: .venv/.dev ## 50 times 60 reports of one problem at once: one issue each
	$(BIN)/python -m bench.races

drill-edges: .venv/.dev ## 110 000 positions, many on edges: the map and PostGIS agree, everybody has one owner
	$(BIN)/python -m bench.edges

lock: .venv/.dev ## Write the lock files anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	echo uv | $(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url - -o requirements-uv.lock

clean: ## Remove what set-up and tools made here (data folders stay)
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

.venv/.runtime: requirements.lock requirements-uv.lock pyproject.toml bin/setup
	@bin/setup runtime

.venv/.dev: requirements-dev.lock requirements-uv.lock pyproject.toml bin/setup
	@bin/setup dev

.venv/.webpush: bench/webpush/package-lock.json bin/setup
	@bin/setup webpush
