"""The measurement of MathWriting's full size, on a few inks: every stage runs, and the table says what was measured."""

import json
from pathlib import Path

import pytest

from benchmarks import machine
from benchmarks.bench.tables import write_into
from benchmarks.mathwriting import run, stages, tables
from benchmarks.mathwriting.archive import Material
from latexify.pipeline.config import ComposedParams, CrohmeParams
from tests.support.composing_data import write_dataset


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_stage_is_measured_from_the_archive_to_the_report(tmp_path: Path, repository: Path) -> None:
    """Found out on the day of the long run, a stage that has changed would cost an hour."""
    write_dataset(tmp_path / "raw")
    section = CrohmeParams(train=["train"], test=["test"], valid_fraction=0.3)
    material = Material(raw=tmp_path / "raw", section=section, composed=ComposedParams())
    amount = run.Amount(num_inks=300, num_valid=20, train_steps=1, unpacked=True)
    base = str(repository / "models" / "crohme-small")
    found = run.measure(tmp_path / "work", amount, material=material, base=base)
    found = {"machine": machine.describe(), "settings": {"command": "test", "repeats": 1}, **found}
    assert found == json.loads(json.dumps(found))
    rows = {row["stage"]: row for row in found["stages"]}
    assert list(rows) == [*stages_in_order(), "ingest of the unpacked tar"]
    assert all(row["seconds"] > 0 and row["main_mib"] > 20 for row in rows.values())
    assert all(rows[name]["num_files"] > 0 and rows[name]["num_bytes"] > 0 for name in run.OUTPUTS)
    assert all(rows[name]["worker_mib"] > 0 for name in ("ingest", "rasterize"))
    for name, steps in stages.STEPS.items():
        assert set(rows[name]["steps"]) >= set(steps)
        assert all(rows[name]["steps"][step] > 0 for step in steps), "a step that is never called is the wrong function"
    assert found["inks"]["inputs"] == 300
    assert found["shards"]["samples"]["valid"] == 20
    assert {target["name"] for target in found["targets"]} >= {"planning an epoch"}
    text = tables.markdown(found)
    assert "| ingest of the unpacked tar |" in text
    assert "300 inks (train" in text


def stages_in_order() -> list[str]:
    """The stages that every run measures."""
    return ["source", "ingest", "vocab", "rasterize", "stream", "train", "predict", "score", "report"]


def test_the_performance_log_has_a_place_for_the_table(repository: Path, tmp_path: Path) -> None:
    """`--write-docs` would fail after an hour."""
    copy = tmp_path / "performance.md"
    copy.write_text((repository / "docs" / "log" / "performance.md").read_text(encoding="utf-8"), encoding="utf-8")
    write_into(copy, "the table", begin=tables.BEGIN, end=tables.END)
    assert "the table" in copy.read_text(encoding="utf-8")
