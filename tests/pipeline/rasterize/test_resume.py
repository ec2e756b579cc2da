"""Interrupted, broken and concurrent runs of the rasterize stage."""

import multiprocessing
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latexify.artifacts.draft import RECORDS_NAME, draft_of, keep_only
from latexify.artifacts.location import Location, location_of
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.engine.versions import versions
from latexify.pipeline.rasterize import worker as render
from latexify.shards.format.index import open_split
from latexify.shards.format.record import find_finished, record_path, recorded_shards
from tests.support import rasterize_data
from tests.support.rasterize_data import PARAMS, Rasterize, bytes_of, ink_row, runner, write_inks


class Stop(Exception):  # noqa: N818  # it is no error, but stands for Ctrl-C, which pytest would take for its own
    """Ends a run."""


def drawn(monkeypatch: pytest.MonkeyPatch, *, stop_after: int | None = None) -> list[int]:
    """Count the shards that the following runs draw; stop them when so many were drawn."""
    places: list[int] = []

    def draw_shard(place: int, *args: Any, **options: Any) -> Any:
        if stop_after is not None and len(places) >= stop_after:
            raise Stop
        places.append(place)
        return render.draw_shard(place, *args, **options)

    monkeypatch.setattr("latexify.pipeline.rasterize.stage.draw_shard", draw_shard)
    return places


def interrupt(rasterize: Rasterize, inks: Location, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[int]:
    """Run until three of the six shards are drawn; then count what later runs draw."""
    drawn(monkeypatch, stop_after=3)
    with pytest.raises(Stop):
        rasterize(inks, **options)
    return drawn(monkeypatch)


@pytest.mark.parametrize("variants", [1, 3])
def test_a_run_goes_on_where_it_was(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variants: int
) -> None:
    """Hours of drawing would be lost to a power cut; and a folder made in two goes must not differ from another."""
    params = PARAMS.model_copy(update={"variants": variants})
    rasterize(inks, params=params, out="undisturbed")
    later = interrupt(rasterize, inks, monkeypatch, params=params)
    assert not (tmp_path / "out").exists()
    rasterize(inks, params=params)
    assert later[0] == 3
    assert len(later) == len(list((tmp_path / "out").glob("*.tar"))) - 3
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".*")), "no draft, lock or former folder is left"


def test_a_run_that_ends_before_its_folder_is_in_its_place_leaves_nothing_to_do(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics written behind the folder would be missing where the run was killed in between, and all drawn again."""

    def write_and_stop(folder: Location, manifest: Manifest) -> None:
        write_manifest(folder, manifest)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr("latexify.pipeline.rasterize.stage.write_manifest", write_and_stop)
        with pytest.raises(Stop):
            rasterize(inks)
    assert not (tmp_path / "out").exists()
    metrics = (tmp_path / "metrics" / "rasterize.json").read_bytes()
    later = drawn(monkeypatch)
    rasterize(inks)
    assert not later
    assert (tmp_path / "metrics" / "rasterize.json").read_bytes() == metrics


def cut(path: Path) -> None:
    """Lose the end of a file."""
    os.truncate(path, path.stat().st_size - 512)


def flip(path: Path) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink])
@pytest.mark.parametrize("file", ["shard", "sidecar"])
def test_damaged_shards_are_drawn_again(
    inks: Path, tokenizer: Path, tmp_path: Path, damage: Callable[[Path], None], file: str
) -> None:
    """A crash of the machine may lose the end of a file that a sidecar vouches for."""
    rasterize = runner(tmp_path, tokenizer)
    rasterize(inks, out="undisturbed")
    with pytest.MonkeyPatch.context() as monkeypatch:
        later = interrupt(rasterize, inks, monkeypatch)
        draft = tmp_path / ".out.draft"
        target = record_path(draft, "train-00001.tar") if file == "sidecar" else draft / "train-00001.tar"
        assert isinstance(target, Path)
        damage(target)
        rasterize(inks)
    # a bit of a sidecar may be one that means nothing
    assert later == [1, 3, 4, 5] or (later == [3, 4, 5] and file == "sidecar" and damage is flip)
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


@pytest.mark.parametrize("change", ["parameters", "seed", "libraries"])
def test_shards_of_another_recipe_are_never_used(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Half a folder with a thin pen and half with a thick one would train, and nobody would know."""
    params = PARAMS.model_copy(update={"variants": 2})
    later = interrupt(rasterize, inks, monkeypatch, params=params)
    options: dict[str, Any] = {"params": params}
    if change == "parameters":
        options["params"] = params.model_copy(update={"pen_width_px": 3.0})
    elif change == "seed":
        options["seed"] = 2
    else:
        for module in ("stage", "worker"):
            monkeypatch.setattr(
                f"latexify.pipeline.rasterize.{module}.versions", lambda: {**versions(), "cairo": "0.1"}
            )
    rasterize(inks, **options)
    assert len(later) == len(list((tmp_path / "out").glob("*.tar")))
    rasterize(inks, **options, out="undisturbed")
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")


def test_a_killed_run_goes_on(tokenizer: Path, tmp_path: Path) -> None:
    """`kill -9` at any moment, again and again: no shard is lost that was whole, and no byte differs in the end."""
    rows = [ink_row(number, "train", "abc") for number in range(400)]  # 58 shards
    inks = write_inks(tmp_path / "inks", rows, rows_per_part=400)
    processes = multiprocessing.get_context("forkserver")  # imports the stage once, not once for each run
    processes.set_forkserver_preload(["latexify.pipeline.rasterize.stage"])

    def start(out: str) -> Any:
        process = processes.Process(target=rasterize_data.run_alone, args=(inks, tokenizer, tmp_path / out, PARAMS))
        process.start()
        return process

    start("undisturbed").join()
    chances = random.Random(1)
    kept: set[str] = set()
    for whole in (0, 2, 5, 10, 15, 20):
        process = start("out")
        while process.is_alive() and len(list((tmp_path / ".out.draft").glob("*.tar"))) < whole:
            time.sleep(0.005)
        time.sleep(chances.uniform(0, 0.03))
        process.kill()
        process.join()
        found = recorded_shards(tmp_path / ".out.draft")
        assert kept <= found
        kept = found
    assert 15 < len(kept) < 58, "the test has killed nothing that was at work"
    start("out").join()
    assert bytes_of(tmp_path / "out") == bytes_of(tmp_path / "undisturbed")
    assert not list(tmp_path.glob(".out*"))


def test_a_folder_that_cannot_be_made_is_one_error(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """A path that leads through a file is a typing mistake."""
    (tmp_path / "file").touch()
    for out in ("file/out", "file/folder/out"):
        with pytest.raises(LatexifyError, match="is not a folder"):
            rasterize(inks, out=out)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_one_error(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """The command line names the folder."""
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="closed"):
        rasterize(inks, out="closed/out")


def test_a_second_run_at_the_same_time_is_refused(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """Two runs would delete each other's drafts."""
    out = tmp_path / "out"
    with draft_of(out, build_key="another") as draft:
        with pytest.raises(LatexifyError, match=r"another run is writing .*out") as error:
            rasterize(inks)
        assert "\n" not in str(error.value)
        assert draft.exists()
    rasterize(inks, out="beside")
    out.rmdir()
    rasterize(inks)
    assert bytes_of(out) == bytes_of(tmp_path / "beside")


def copy_to_store(folder: Path, place: Location) -> Location:
    """Upload a folder."""
    for path in folder.iterdir():
        target = place / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return place


def test_an_object_store_gets_the_same_bytes(
    rasterize: Rasterize, inks: Path, tokenizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of a cluster lie in an object store: read, written and gone on with there, they are no others."""
    store = location_of(f"memory://{tmp_path.name}")
    options = {"tokenizer": copy_to_store(tokenizer, store / "tokenizer"), "out": store / "out"}
    there = copy_to_store(inks, store / "inks")
    later = interrupt(rasterize, there, monkeypatch, **options)
    assert not (store / "out" / "manifest.json").exists()
    rasterize(there, **options)
    assert later == [3, 4, 5]
    rasterize(inks)
    stored = {path.name: path.read_bytes() for path in (store / "out").iterdir()}
    assert stored == bytes_of(tmp_path / "out")


def test_a_sidecar_that_is_no_sidecar_is_not_believed(rasterize: Rasterize, inks: Path, tmp_path: Path) -> None:
    """A Parquet file of another program under this name must not crash a run, nor vouch for a shard."""
    rasterize(inks)
    out = tmp_path / "out"
    sidecar = record_path(out, "train-00000.tar")
    sidecar.parent.mkdir()
    sidecar.write_bytes((out / "index.parquet").read_bytes())
    assert find_finished(out, "train-00000.tar", build_key="a") is None


def test_only_the_results_stay(tmp_path: Path) -> None:
    """Temporary files of killed workers would be pushed with the shards."""
    with draft_of(tmp_path / "out", build_key="a") as draft:
        for name in ("a.tar", ".a.tar.123.tmp"):
            (draft / name).touch()
        (draft / RECORDS_NAME).mkdir()
        keep_only(draft, {"a.tar"})
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.tar"]


def test_mean_and_index_do_not_depend_on_a_resume(
    rasterize: Rasterize, inks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures of a run that went on would count only what it drew itself."""
    whole = rasterize(inks, out="undisturbed")
    interrupt(rasterize, inks, monkeypatch)
    assert rasterize(inks) == whole
    assert len(open_split(tmp_path / "out", "train")) == whole["samples"]["train"]
