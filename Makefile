# `make repro`: set everything up and run the pipeline from InkML to report.
# `make test`:  set everything up and run the tests.
BIN := $(CURDIR)/.venv/bin
export PATH := $(BIN):$(PATH)
export HF_HUB_DISABLE_TELEMETRY := 1

.PHONY: help setup repro test test-quick lint bench bench-scale bench-mathwriting results results-tables docs damage fuzz fuzz-pictures kill kill-training kill-workers container-check lock clean

help:
	@echo "make repro          set up, then run the pipeline: data, model, metrics, report"
	@echo "make test           set up, then run the tests"
	@echo "make test-quick     set up, then run the tests that are not marked slow"
	@echo "make lint           set up, then check style and types"
	@echo "make bench          set up, then measure beside baselines and targets, into docs/log/performance.md"
	@echo "make bench-scale    the same for time and memory of 10,000 and 100,000 inks"
	@echo "make bench-mathwriting  650,000 inks in MathWriting's layout, from the archive to the report (long, 20 GB)"
	@echo "make results        set up, then measure the shipped model on CROHME 2014 and write the tables of the documents"
	@echo "make results-tables  write the tables of the documents from docs/results.json"
	@echo "make docs           write the generated pages of the documents: commands, parameters, imports"
	@echo "make damage         set up, then damage shards 1,000 times and see whether anything gets by"
	@echo "make fuzz           set up, then read 100,000 ruined InkML files (long)"
	@echo "make fuzz-pictures  set up, then read 20,000 damaged and hostile pictures (long)"
	@echo "make kill           set up, then kill ingest and rasterize 100 times each (long)"
	@echo "make kill-training  set up, then kill trainings 50 times (long)"
	@echo "make kill-workers   set up, then kill workers of a Dask and of a Ray cluster at 50,000 inks (long)"
	@echo "make container-check  build the container without Docker and run what is in it (root, buildah, mmdebstrap)"
	@echo "make lock           regenerate requirements.lock and requirements-image.lock from pyproject.toml"
	@echo "make clean          remove data, runs and metrics that the pipeline made (keeps data/raw and .venv)"

setup:
	@bash scripts/setup.sh

repro: setup
	@dvc repro
	@latexify score data/predictions/predictions.parquet --no-normalize
	@echo "report: $(CURDIR)/data/report/report.html"

test: setup
	@OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test-quick: setup
	@OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadscope --no-loadscope-reorder -m "not slow"

lint: setup
	@ruff check .
	@ruff format --check .
	@mypy

bench: setup
	@python -m benchmarks --write-docs

bench-scale: setup
	@python -m benchmarks --only scale

bench-mathwriting: setup
	@python -m benchmarks.mathwriting --write-docs

results: setup
	@python -m benchmarks.figures

results-tables: setup
	@python -m benchmarks.figures --tables

docs: setup
	@python -m scripts.generate_docs

kill-training: setup
	@python -m benchmarks.destroy.kill_training

kill-workers: setup
	@python -m benchmarks.destroy.kill_workers

damage: setup
	@python -m benchmarks.destroy.shard_damage

fuzz: setup
	@python -m benchmarks.destroy.fuzz

fuzz-pictures: setup
	@python -m benchmarks.destroy.pictures

kill: setup
	@python -m benchmarks.destroy.kill

container-check:
	@python3 scripts/container_check.py --record $(CONTAINER_CHECK)

lock: setup
	@bash scripts/lock.sh

clean:
	@find data -mindepth 1 -maxdepth 1 ! -name raw -exec rm -rf {} +
	@rm -rf runs metrics
