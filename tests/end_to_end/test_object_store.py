"""Inputs, inks and shards in an object store: a server that speaks S3, in a process of its own, through s3fs."""

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import cast

import pytest
import torch
from upath import UPath

from latexify.artifacts.location import Location, location_of, store_trouble
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import InkmlParams, MathWritingParams
from latexify.pipeline.engine.engine import Backend, Engine, open_engine
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.source import stage as source
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader
from latexify.shards.verify.verify import verify
from latexify.trainer.data.batches import MicroBatch, open_loader
from latexify.trainer.data.loader_processes import close_loader
from latexify.trainer.data.specs import Position
from tests.support.cluster_processes import HOST, free_port, s3_server
from tests.support.small_project import bytes_of, run_ingest, run_rasterize
from tests.support.trainer_data import quick_params


def upload(local: Path, to: str) -> Location:
    """Put a folder or file into the store."""
    location = location_of(to)
    assert isinstance(location, UPath)
    location.fs.put(str(local), location.path, recursive=local.is_dir())
    return location


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Path:
    """The project's inks as users keep them: a folder, and archives of every kind."""
    folder = tmp_path_factory.mktemp("raw")
    # not tarfile's own extractall: with the filter that newer Pythons ask for, it fails on Debian 12's 3.11.2
    shutil.unpack_archive(project / "data" / "source" / "train.tar", folder / "train")
    for path in [folder / "train", *(folder / "train").rglob("*")]:
        os.utime(path, (1e9, 1e9))  # zip knows no 1970
    for kind in ("gztar", "xztar", "zip"):
        shutil.make_archive(str(folder / f"train-{kind}"), kind, folder / "train")
    return folder


def test_members_are_those_of_the_local_copy(s3: str, raw: Path) -> None:
    """The bytes of an ink do not depend on where its archive lies."""
    stored = upload(raw, f"{s3}/members")
    paths = sorted(path.name for path in raw.iterdir())
    assert len(paths) == 4
    for name in paths:
        for max_bytes in (None, 1500, 1 << 20):
            local = sorted(iter_members(raw / name, max_bytes=max_bytes), key=lambda member: member.name)
            found = sorted(iter_members(stored / name, max_bytes=max_bytes), key=lambda member: member.name)
            assert found == local
            assert len(found) == 40


def test_a_damaged_archive_in_the_store_is_named(s3: str, tmp_path: Path) -> None:
    """An upload that was cut short is one line that names the URL."""
    (tmp_path / "cut.tgz").write_bytes(b"\x1f\x8b\x08 cut")
    place = upload(tmp_path / "cut.tgz", f"{s3}/cut.tgz")
    with pytest.raises(LatexifyError, match=r"s3://.*/cut\.tgz cannot be read"):
        list(iter_members(place, max_bytes=None))


def test_inks_from_a_store_are_those_of_a_folder(s3: str, raw: Path, tmp_path: Path) -> None:
    """`raw: s3://bucket/raw` instead of a local folder changes no byte of the inks."""
    stored = upload(raw, f"{s3}/raw")
    section = InkmlParams(paths=["train", "train-xztar.tar.xz"], label_annotations=["label"])
    inks = {}
    for name, folder in (("local", raw), ("stored", stored)):
        source.run(section, dataset="inkml", seed=1, raw=folder, out=tmp_path / name / "source", jobs=1)
        run_ingest(tmp_path / name, out=tmp_path / name / "inks", engine=Engine(backend="sequential"))
        inks[name] = list(read_inks(tmp_path / name / "inks"))
    assert inks["local"]
    assert [(ink.key, ink.label, ink.source) for ink in inks["stored"]] == [
        (ink.key, ink.label, ink.source) for ink in inks["local"]
    ]


def test_single_inputs_may_be_urls(s3: str, raw: Path, tmp_path: Path) -> None:
    """Some of a dataset lies in the store, some beside: each path of params.yaml may be a URL."""
    stored = upload(raw / "train-zip.zip", f"{s3}/one/train-zip.zip")
    section = InkmlParams(paths=[str(stored)], label_annotations=["label"])
    source.run(section, dataset="inkml", seed=1, raw=tmp_path, out=tmp_path / "source", jobs=1)
    run_ingest(tmp_path, out=tmp_path / "inks", engine=Engine(backend="sequential"))
    assert all(ink.source.startswith(f"{stored}/") for ink in read_inks(tmp_path / "inks"))
    missing = InkmlParams(paths=[f"{s3}/one/none.zip"], label_annotations=["label"])
    with pytest.raises(LatexifyError, match=r"none\.zip does not exist"):
        source.run(missing, dataset="inkml", seed=1, raw=tmp_path, out=tmp_path / "source", jobs=1)
    with pytest.raises(LatexifyError, match=r"mathwriting-2024\.tgz does not exist"):
        source.run(
            MathWritingParams(), dataset="mathwriting", seed=1, raw=location_of(s3), out=tmp_path / "source", jobs=1
        )


@pytest.mark.parametrize("backend", ["loky", "dask"])
def test_stages_write_the_same_bytes_into_a_store(
    backend: Backend, s3: str, project: Path, request: pytest.FixtureRequest
) -> None:
    """Workers write straight to the store; what is there at the end is what a local run leaves on the disk."""
    address = request.getfixturevalue("dask_address") if backend == "dask" else None
    inks, shards = location_of(f"{s3}/{backend}/inks"), location_of(f"{s3}/{backend}/shards")
    with open_engine(backend, jobs=2, address=address) as engine:
        engine.check_shared_path(inks)
        run_ingest(project / "data", out=inks, engine=engine)
        assert bytes_of(inks) == bytes_of(project / "data" / "inks")
        run_rasterize(project / "data", inks=inks, out=shards, engine=engine)
    assert bytes_of(shards) == bytes_of(project / "data" / "shards")


def test_shards_stream_back_from_the_store(
    s3: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a cluster wrote, a training machine reads from where it is."""
    monkeypatch.setenv("LATEXIFY_CACHE", str(tmp_path / "cache"))
    local = project / "data" / "shards"
    with open_engine("loky", jobs=2) as engine:
        run_rasterize(project / "data", out=location_of(f"{s3}/back"), engine=engine)
    here, there = streamed(local), streamed(location_of(f"{s3}/back"))
    for expected, found in zip(here, there, strict=True):
        assert torch.equal(found.pixels, expected.pixels)
        assert torch.equal(found.labels, expected.labels)


def streamed(shards: Location) -> list[MicroBatch]:
    """The first batches that training would get, read by a process of the loader's own."""
    loader = open_loader(
        open_split(shards, "train"), quick_params(loader_workers=1), seed=1, start=Position(), pin_memory=False
    )
    batches = iter(loader)
    try:
        found = list(itertools.islice(batches, 12))
    finally:
        close_loader(batches)
    assert all(isinstance(batch, MicroBatch) for batch in found), found
    return cast("list[MicroBatch]", found)


def latexify(*arguments: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Exit code of the command line, run in this process: a new one would load libraries for seconds."""
    from latexify.cli.app import main

    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["latexify", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def test_the_command_line_takes_urls(s3: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--inks` and `--shards` are understood by every stage that reads or writes them."""
    (tmp_path / "params.yaml").write_text((project / "params.yaml").read_text(), encoding="utf-8")
    shutil.copytree(project / "data" / "tokenizer", tmp_path / "data" / "tokenizer")
    upload(project / "data" / "inks", f"{s3}/cli/inks")
    places = ("--inks", f"{s3}/cli/inks", "--shards", f"{s3}/cli/shards")
    for stage in (["vocab"], ["rasterize", "--backend", "threading"]):
        assert latexify(*places, *stage, folder=tmp_path, monkeypatch=monkeypatch) == 0
    assert bytes_of(location_of(f"{s3}/cli/shards")) == bytes_of(project / "data" / "shards")


def test_a_store_that_does_not_answer_is_one_line(
    s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong endpoint is the commonest mistake of all."""
    from s3fs import S3FileSystem

    (tmp_path / "params.yaml").write_text("{}\n", encoding="utf-8")
    S3FileSystem.clear_instance_cache()
    with monkeypatch.context() as wrong:
        wrong.setenv("AWS_ENDPOINT_URL", f"http://{HOST}:{free_port()}")
        wrong.setenv("AWS_MAX_ATTEMPTS", "1")
        assert latexify("--inks", f"{s3}/inks", "vocab", folder=tmp_path, monkeypatch=wrong) == 1
    S3FileSystem.clear_instance_cache()
    assert "latexify: the object store failed" in capsys.readouterr().err


@pytest.fixture
def own_s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """A server of the test's own with a bucket `own`, which this process talks to; yields what stops it."""
    from s3fs import S3FileSystem

    with ExitStack() as stack:
        for name, value in stack.enter_context(s3_server(tmp_path / "server")).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        S3FileSystem.clear_instance_cache()
        S3FileSystem().mkdir("own")
        yield stack.close
    S3FileSystem.clear_instance_cache()


def test_a_store_that_goes_away_is_one_error(
    own_s3: Callable[[], None], project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether shards are opened, read, checked or written: a line that names the place, not pages of aiohttp."""
    monkeypatch.setenv("LATEXIFY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("latexify.shards.reading.cache._FIRST_PAUSE_S", 0.0)
    shards = upload(project / "data" / "shards", "s3://own/shards")
    index = open_split(shards, "train")
    for place in ("s3://own/none", "s3://no-such-bucket/shards"):
        with pytest.raises(LatexifyError, match=f"{place} is missing or incomplete"):
            open_split(location_of(place), "train")
    (shards / index.shards[0]).unlink()
    with pytest.raises(LatexifyError, match=r"shards/train-00000\.tar: .*: there is no such bucket or object"):
        SampleReader(index).read([0])
    own_s3()
    away: Sequence[Callable[[], object]] = (
        lambda: open_split(shards, "train"),
        lambda: SampleReader(index).read([len(index) - 1]),
        lambda: verify(shards, encode=None, engine=Engine(backend="sequential")),
        lambda: run_rasterize(project / "data", out=location_of("s3://own/out"), engine=Engine(backend="sequential")),
    )
    for attempt in away:
        with pytest.raises(LatexifyError, match=r"^s3://own/(shards|out).*(EndpointConnectionError|Connect)") as error:
            attempt()
        assert "\n" not in str(error.value)


def test_credentials_that_are_refused_are_one_error() -> None:
    """The place and the remedy, whatever the store's package makes of it."""
    refused = PermissionError("Forbidden")
    message = r"s3://b/shards: PermissionError: Forbidden: the store denies access"
    with pytest.raises(LatexifyError, match=message), store_trouble(location_of("s3://b/shards")):
        raise refused
    full = OSError(28, "No space left on device", "copy")
    with pytest.raises(OSError, match="No space"), store_trouble(location_of("s3://b/shards")):
        raise full
