"""The benchmarks on a handful of inks: a benchmark that no longer runs, or flatters, is worse than none."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from benchmarks import machine
from benchmarks.baselines import baseline, png_csv
from benchmarks.bench import compare, evaluation, memory, plans, run, scoring, stages, steps, tables, training
from benchmarks.bench.cores import Pools, open_cores
from benchmarks.bench.inks import RawInk, choose, copies, synthetic_inks
from benchmarks.bench.measured import Job, Measured, Target, ratios, summed_rate, take_turns
from benchmarks.bench.stages import Workspace
from benchmarks.bench.stopwatch import REST, time_steps
from benchmarks.studies import exam
from latexify.pipeline.config import IngestParams
from latexify.pipeline.inkml.document import parse_inkml
from latexify.shards.format.index import open_split

SIZES = compare.Sizes(num_inks=12, num_copies=6, repeats=1)
CROHME_LIKE = b"""<ink xmlns="http://www.w3.org/2003/InkML"><annotation type="truth">$x$</annotation>
<trace id="0">10 20, 13 20,
13 26</trace><trace id="1">-0.5 1e1 7</trace></ink>"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, list[Path]]:
    """Twelve synthetic inks as the baselines read them, and six times as many as the project does."""
    folder = tmp_path_factory.mktemp("bench")
    inks = choose(synthetic_inks(24, folder=folder / "generated"), num_inks=SIZES.num_inks)
    with ThreadPoolExecutor(1) as here:
        return compare.prepare(folder / "work", inks, sizes=SIZES, cores=here)


@pytest.fixture(scope="module")
def pools() -> Pools:
    """This process in place of those kept to a core: quicker to start."""
    here = ThreadPoolExecutor(1)
    return Pools(one=here, ours=here, theirs=here, cores=1)


def test_the_seeds_parser_reads_points_of_any_form() -> None:
    """Granted only what the original could read, the baseline would fail on CROHME and compare with nothing."""
    strokes, label = baseline.parse_ink(CROHME_LIKE)
    assert strokes == [[(10, 20), (13, 20), (13, 26)], [(-0.5, 10)]]
    assert label == "$x$"


def test_the_seed_draws_one_pixel_a_unit() -> None:
    """At another size the baseline would be slower or faster than what it stands for."""
    picture = baseline.draw_ink([[(100.0, 50.0), (220.0, 80.0)]])
    assert picture.size == (124, 34)
    assert picture.mode == "RGB"
    dark = np.argwhere(np.asarray(picture)[:, :, 0] < 128)
    assert dark.min(axis=0) == pytest.approx([1, 1], abs=1)
    assert dark.max(axis=0) == pytest.approx([32, 122], abs=1)


def test_the_seed_draws_an_absurd_ink_within_bounds() -> None:
    """CROHME has an ink 30,000 units wide: a picture of 2 GB would measure the swap."""
    picture = baseline.draw_ink([[(0.0, 0.0), (30_000.0, 3_000.0)]])
    assert picture.size[0] == baseline.MAX_SIDE_PX
    assert picture.size[1] < 300


def test_the_baselines_make_what_a_model_takes(workspace: tuple[Workspace, list[Path]], tmp_path: Path) -> None:
    """A baseline that skips part of the work would be too fast a rival."""
    from latexify.pipeline.vocab.tokenizer import load_tokenizer

    space, paths = workspace
    tokenizer = load_tokenizer(space.data("tokenizer"))
    png_csv.write_all(paths, folder=tmp_path, jobs=1)
    for inks in (
        baseline.BaselineInks(paths, tokenizer=tokenizer, processor=baseline.make_processor()),
        png_csv.PngInks(tmp_path, tokenizer=tokenizer),
    ):
        pixels, ids = inks[0]
        assert pixels.shape == (3, 384, 384)
        assert pixels.min() == pytest.approx(-1, abs=0.2)
        assert pixels.max() == pytest.approx(1)
        assert len(inks) == len(paths)
        assert ids.shape == (256,)
        assert (ids != tokenizer.pad_token_id).sum() > 1
    with Image.open(tmp_path / "000000.png") as image:
        assert (image.mode, image.size) == ("L", (384, 384))


def test_copies_are_no_duplicates_and_hardly_differ(workspace: tuple[Workspace, list[Path]]) -> None:
    """Ingest drops equal inks: the project would be paid for work that it did not do."""
    del workspace
    first, again = copies([RawInk(name="a/b.inkml", data=CROHME_LIKE)], num_inks=2)
    limits = IngestParams()
    one, other = (
        parse_inkml(ink.data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points).strokes[0]
        for ink in (first, again)
    )
    assert first.data == CROHME_LIKE
    assert first.name != again.name
    assert not np.array_equal(one, other)
    assert np.allclose(one, other, rtol=1e-4)


def test_no_ink_is_lost_in_preparation(workspace: tuple[Workspace, list[Path]]) -> None:
    """Rates are inks a second: inks that fell out would count as work done."""
    space, _ = workspace
    assert len(open_split(stages.shards_of(space), "train")) == SIZES.num_inks * SIZES.num_copies


def test_comparison_measures_every_row_and_target(workspace: tuple[Workspace, list[Path]], pools: Pools) -> None:
    """The comparison breaks when a stage's interface changes, and nobody notices until the figures are needed."""
    space, paths = workspace
    measured, targets = compare.run(space, paths, inks="synthetic", sizes=SIZES, pools=pools)
    assert len(measured) == 13
    assert all(value > 0 for row in measured for value in row.values)
    assert len(targets) == 5


def test_every_step_is_found_in_its_stage(workspace: tuple[Workspace, list[Path]], pools: Pools) -> None:
    """A function that was renamed or is no longer called would leave its step at nothing, its time among the rest."""
    space, _ = workspace
    measured = steps.run(space, inks="synthetic", num_inks=72, repeats=1, pools=pools)
    assert {row.part for row in measured} == {"ingest", "rasterize", "stream"}
    assert not [(row.part, row.name) for row in measured if row.median <= 0]


def test_steps_do_not_count_each_other_and_add_up() -> None:
    """Shares of more than the whole, or of time that two steps both claim, would send us to the wrong place."""
    import time

    from latexify.pipeline.drawing import draw

    original = draw._Surface.draw

    def work() -> None:
        points = np.array([[0.0, 0.0], [50.0, 20.0]])
        draw.draw_points(points, np.array([2]), draw.Canvas(height_px=32, width_px=64, margin_px=2, pen_width_px=2))
        time.sleep(0.02)

    parts = {
        "paint": ["latexify.pipeline.drawing.draw._Surface.draw"],
        "whole": ["latexify.pipeline.drawing.draw.draw_points", "latexify.pipeline.drawing.draw.gone"],
    }
    started = time.perf_counter()
    seconds = time_steps(work, parts)
    elapsed_s = time.perf_counter() - started
    assert list(seconds) == ["paint", "whole", REST]
    assert min(seconds.values()) > 0
    assert 0.02 <= seconds[REST] <= sum(seconds.values()) <= elapsed_s
    assert draw._Surface.draw is original


def test_a_step_without_a_function_is_an_error() -> None:
    """It would be measured as costing nothing."""
    with pytest.raises(LookupError, match="none of latexify"):
        time_steps(
            lambda: None,
            {
                "step": [
                    "latexify.pipeline.drawing.draw.gone",
                    "latexify.pipeline.gone.too",
                    "latexify.pipeline.drawing.draw.Gone.method",
                ]
            },
        )


def test_a_tiled_folder_opens_and_reads_like_a_drawn_one(
    workspace: tuple[Workspace, list[Path]], pools: Pools, tmp_path: Path
) -> None:
    """Resuming is timed on it: a folder that took another way would measure that way."""
    space, _ = workspace
    shards = stages.shards_of(space, height_px=32, width_px=128)
    measured, targets = plans.run(shards, folder=tmp_path / "tiled", num_samples=1000, repeats=1, pools=pools)
    assert len(open_split(tmp_path / "tiled", "train")) >= 1000
    assert [target.limit for target in targets] == [1, 2]
    assert all(row.median > 0 for row in measured)


def test_both_training_loops_run(workspace: tuple[Workspace, list[Path]]) -> None:
    """The loops follow the trainer's interface, and the baseline's loss must stay one that counts padding."""
    space, paths = workspace
    common: dict[str, Any] = {"tokenizer_folder": space.data("tokenizer"), "workers": 0, "num_steps": 1, "seed": 1}
    shards = stages.shards_of(space, height_px=training.HEIGHT_PX, width_px=training.WIDTH_PX)
    for found in (
        training.time_baseline_loop(paths * 3, **common),
        training.time_our_loop(shards, format_name="fp32", **common),
    ):
        assert found["samples"] > 0
        assert 0 <= found["waiting"] < 100


def test_a_process_keeps_to_its_cores() -> None:
    """A rate per core would mean little if libraries could start threads on the other cores."""
    import os

    with open_cores(1) as pool:
        assert len(pool.submit(os.sched_getaffinity, 0).result()) == 1


def test_a_peak_of_milliseconds_counts() -> None:
    """Between two samples of the size it would come and go."""
    _, small = memory.run_watched(eval, "len(b'x' * 1)")
    length, large = memory.run_watched(eval, "len(b'x' * (200 << 20))")
    assert length == 200 << 20
    assert large.parent_mib - small.parent_mib == pytest.approx(200, abs=20)


def test_memory_of_a_stage_is_its_own(workspace: tuple[Workspace, list[Path]]) -> None:
    """Had the measuring process imported torch, 300 MiB would be charged to a stage that does without."""
    space, _ = workspace
    counts, peaks = memory.run_watched(stages.time_ingest, space, jobs=1)
    assert counts["ingest"] > 0
    assert 50 < peaks.parent_mib < 250
    with open_cores(1) as pool:
        pool.submit(stages.time_ingest, space, jobs=1).result()
        assert not pool.submit(eval, "'torch' in __import__('sys').modules").result()


def test_turns_are_taken_and_the_warm_up_does_not_count() -> None:
    """Measured one after another, a method would pay for what else the machine did just then."""
    order: list[str] = []

    def call(*, name: str, is_warm: bool = False) -> dict[str, float]:
        order.append(name + ("-" if is_warm else ""))
        return {"rate": float(len(order))}

    with ThreadPoolExecutor(1) as here:
        jobs = {name: Job(pool=here, call=call, arguments={"name": name}, warm={"is_warm": True}) for name in "ab"}
        times = take_turns(jobs, repeats=2, title="test")
    assert order == ["a-", "b-", "a", "b", "a", "b"]
    assert times == {"a": {"rate": [3, 5]}, "b": {"rate": [4, 6]}}


def test_rates_and_ratios() -> None:
    """Rates of steps one after another do not add up: their times do."""
    assert summed_rate([100.0], [50.0]) == pytest.approx([100 / 3])
    assert ratios([10.0, 20.0], [5.0, 40.0]) == [2, 0.5]
    assert Measured(part="", name="", unit="", values=[1.0, 9.0, 2.0]).median == 2


def test_report_says_what_is_not_met(tmp_path: Path) -> None:
    """A missed target that reads like a met one is a lie."""
    targets = [
        Target(name="speed", value=9.0, limit=10, unit="x", at_least=True),
        Target(name="memory", value=399.0, limit=400, unit="MiB", at_least=False),
    ]
    measured = [Measured(part="compare", name="row", unit="inks/s", values=[5.0, 6.0, 7.0], inks="CROHME")]
    found = {
        "machine": {
            **dict.fromkeys(("date", "commit", "cpu", "system"), "word"),
            **dict.fromkeys(("cpus", "memory_gib", "load_average"), 1),
            "libraries": {"numpy": "2"},
        },
        "settings": {"command": "bench", "repeats": 3},
        "measured": [row.__dict__ for row in measured],
        "targets": [target.__dict__ for target in targets],
    }
    report = tables.markdown(found)
    assert "| speed |  | ≥ 10.0x | 9.0x | **not met** |" in report
    assert "| memory |  | ≤ 400 MiB | 399 MiB | met |" in report
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n", encoding="utf-8")
    tables.write_into(document, report)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert report in text


def test_kept_results_print_again(tmp_path: Path) -> None:
    """The tables of an old run must come from its file alone."""
    about = machine.describe()
    found = {
        "machine": about,
        "settings": {"command": "bench", "repeats": 1},
        "measured": [],
        "targets": [],
    }
    run.keep(found, tmp_path, is_quick=False)
    kept = next(tmp_path.glob("*.json"))
    assert kept.name == f"{about['date'][:10]}-{about['commit']}.json"
    assert tables.markdown(json.loads(kept.read_text(encoding="utf-8"))) == kept.with_suffix(".md").read_text("utf-8")


def test_the_document_has_room_for_the_tables(repository: Path) -> None:
    """`make bench` would end its eight minutes with an error."""
    text = (repository / "docs" / "log" / "performance.md").read_text(encoding="utf-8")
    assert text.index(tables.BEGIN) < text.index(tables.END)


def test_scoring_is_measured_on_predictions_that_are_mostly_right(tmp_path: Path) -> None:
    """Predictions that repeat, or all alike, would be scored faster than anybody's."""
    measured, targets = scoring.run(
        [r"\frac{a}{b}", "x^{2}", "y"], folder=tmp_path / "new", num_pairs=400, repeats=1, name="synthetic"
    )
    assert len(measured) == len(targets) == 4
    assert all(value > 0 for row in measured for value in row.values)
    table = pq.read_table(tmp_path / "new" / "predictions.parquet")
    right = np.mean(np.array(table["reference"]) == np.array(table["prediction"]))
    assert 0.5 < right < 0.8
    assert len(set(table["key"].to_pylist())) == 400


def test_both_evaluations_read_the_same(tmp_path: Path, pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the baseline given other pictures, another model or fewer inks, its time would be of something else."""
    monkeypatch.setattr(evaluation, "MAX_TOKENS", 12)
    amount = exam.Amount(num_inks=20, num_steps=1, repeats=1)
    measured, targets = evaluation.run(tmp_path / "new", raw=None, inks="synthetic", amount=amount, pools=pools)
    found = {row.name: row.median for row in measured}
    assert found["inks that both recognise alike"] == 100
    assert found["baseline: character error rate"] == pytest.approx(found["latexify: character error rate"], rel=0.1)
    assert min(found.values()) > 0
    assert [target.limit for target in targets] == [3]


def test_a_model_that_comes_along_is_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured should be what is shipped, with its own tokens and canvas."""
    amount = exam.Amount(num_inks=10, num_steps=1, repeats=1)
    trained = exam.prepare(tmp_path / "trained", raw=None, amount=amount, jobs=1)
    (tmp_path / "models").mkdir()
    trained.model.rename(tmp_path / "models" / "one")
    monkeypatch.setattr(exam, "MODELS", tmp_path / "models")
    shipped = exam.prepare(tmp_path / "shipped", raw=None, amount=amount, jobs=1)
    assert not (tmp_path / "shipped" / "runs").exists()
    monkeypatch.setattr(evaluation, "MAX_TOKENS", 6)
    assert evaluation.time_ours(shipped, out=tmp_path / "out")["inks"] > 0
