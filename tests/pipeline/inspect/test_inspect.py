"""`latexify inspect`: people find data faults with their eyes, so what they see must be what is there."""

import json
import re
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from benchmarks.destroy.shard_damage import make_folder
from latexify.artifacts.files import write_parquet
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INKS, SOURCE
from latexify.cli.app import app
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import Ink, Reason, Rejection
from latexify.pipeline.inks.table import part_name, rejects_table
from latexify.pipeline.inputs.inputs import SourcePlan
from latexify.pipeline.inputs.scan import InputSpec, scan_inputs
from latexify.pipeline.inputs.splits import InputSplit
from latexify.pipeline.inspect.contact_sheet import INK_CANVAS
from latexify.pipeline.inspect.inspect import open_collection
from latexify.pipeline.inspect.summary import summary_lines
from tests.support.ink_tables import ink_table

GOOD = {
    "a/one": (r"$x^2$", "0 0, 10 20"),
    "a/two": (r"\frac{a}{b}", "0 0, 90 20</trace><trace>5 5"),
    "b/three": ("7", "3 3, 4 4, 5 3"),
}


def inkml(label: str, traces: str) -> str:
    """An InkML file."""
    return (
        '<ink xmlns="http://www.w3.org/2003/InkML">'
        f'<annotation type="truth">{label}</annotation><trace>{traces}</trace></ink>'
    )


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three good and three bad InkML files."""
    folder = tmp_path_factory.mktemp("raw") / "inkml"
    texts = {name: inkml(*content) for name, content in GOOD.items()}
    texts |= {"bad/empty": "", "bad/unlabelled": inkml(" ", "1 2, 3 9"), "bad/points": inkml("x", "1 2, none")}
    for name, text in texts.items():
        path = folder / f"{name}.inkml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def data(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of all kinds, with rejections in the inks and in the shards."""
    root = tmp_path_factory.mktemp("data")
    for name in (SOURCE.kind, INKS.kind):
        (root / name).mkdir()
    wanted = [InputSpec(path=raw, name="inkml", rule=InputSplit(split="train"))]
    plan = SourcePlan(
        inputs=scan_inputs(wanted, base=root / SOURCE.kind), label_annotations=["truth"], writer_annotations=[]
    )
    source = Manifest(kind=SOURCE.kind, version=1, params={}, inputs={}, content=plan.model_dump())
    write_manifest(root / SOURCE.kind, source)
    inks = [
        Ink(
            key=name,
            split="test" if number == 2 else "train",
            label=label,
            normalized_label=("x^{2}", r"\frac{a}{b}", "7")[number],
            strokes=[np.array([[0, 0], [10.0 * (number + 1), 20]], np.float32)] * (number + 1),
            writer=None,
            source=f"inkml/{name}.inkml",
        )
        for number, (name, (label, _)) in enumerate(GOOD.items())
    ]
    write_parquet(root / INKS.kind / part_name(0), ink_table(inks[:2]))
    write_parquet(root / INKS.kind / part_name(1), ink_table(inks[2:]))
    parts = [{"name": part_name(0), "num_rows": 2}, {"name": part_name(1), "num_rows": 1}]
    rejections = [
        Rejection(key=f"bad/{name}", source=f"inkml/bad/{name}.inkml", reason=reason, detail="as it is")
        for name, reason in (("empty", Reason.EMPTY_FILE), ("unlabelled", Reason.BAD_LABEL))
    ]
    write_parquet(root / INKS.kind / "rejects.parquet", rejects_table(rejections))
    write_manifest(
        root / INKS.kind, Manifest(kind=INKS.kind, version=1, params={}, inputs={}, content={"parts": parts})
    )
    make_folder(root / "shards")
    long = Rejection(key="a/two", source="inkml/a/two.inkml", reason=Reason.LONG_LABEL, detail="999 tokens")
    write_parquet(root / "shards" / "rejects.parquet", rejects_table([long]))
    return root


def words(path: Path) -> str:
    """All that is said of a path."""
    collection = open_collection(path)
    return "\n".join([collection.title, *summary_lines(collection.entries)])


def latexify(*arguments: str) -> tuple[int | BaseException, str]:
    """Run `latexify inspect` in this process: exit code or error, and what it printed."""
    result = CliRunner().invoke(app, ["inspect", *arguments])
    return result.exception if isinstance(result.exception, LatexifyError) else result.exit_code, result.stdout


def test_raw_inkml_is_told_as_ingest_would_see_it(raw: Path, tmp_path: Path) -> None:
    """Before an hour of ingest, people want to know what they were given, packed or not."""
    with tarfile.open(tmp_path / "inks.tar.xz", "w:xz") as tar:
        tar.add(raw, arcname=".")
    for path in (raw, tmp_path / "inks.tar.xz"):
        said = words(path)
        assert "6 InkML files" in said
        assert "left out             3 of 6" in said
        for reason in ("empty-file", "bad-label", "bad-points"):
            assert re.search(rf"{reason} +1, such as .*bad/", said)
        assert "LaTeX tokens         least 1, median 5, 99 % 7, most 7" in said
        assert "strokes              least 1" in said
    assert "1 InkML files" in words(raw / "a" / "one.inkml")


def test_inks_are_told_by_split_and_size(data: Path) -> None:
    """A split that came out empty, or units that are off by a thousand, must catch the eye."""
    said = words(data / "inks")
    assert "3 inks in 2 Parquet files" in said
    assert "splits               train 2, test 1" in said
    assert "width (own units)    least 10, median 20, 99 % 30, most 30" in said
    assert "points               least 2, median 4" in said
    assert "most frequent        { 3, } 3" in said
    assert "1 inks in 1 Parquet" in words(data / "inks" / part_name(1))


def test_shards_are_told_by_the_index_and_their_json(data: Path) -> None:
    """What training will see: its canvas, its lengths in token ids, its bytes."""
    said = words(data / "shards")
    assert "120 samples of 24x64 px in 3 shards" in said
    assert "splits               train 80, test 40" in said
    assert "token ids " in said
    assert "bytes a picture" in said
    assert "width / height       least 1.9, median 1.9" in said
    assert "40 samples in one shard" in words(data / "shards" / "test-00000.tar")
    one, other = (open_collection(data / "shards" / name) for name in ("test-00000.tar", "index.parquet"))
    by_key = {entry.key: entry for entry in other.entries}
    assert [replace(entry, split="test") for entry in one.entries] == [by_key[entry.key] for entry in one.entries]


def test_pictures_are_those_of_their_entries(data: Path, raw: Path) -> None:
    """A caption under another picture sends people hunting for faults that are not there."""
    shards = open_collection(data / "shards")
    tar = open_collection(data / "shards" / "test-00000.tar")
    chosen = sorted(tar.entries, key=lambda entry: entry.key)[::-7]
    for one, other in zip(shards.pictures(chosen, INK_CANVAS), tar.pictures(chosen, INK_CANVAS), strict=True):
        assert one is not None
        assert np.array_equal(one, other)  # type: ignore[arg-type]
    for collection in (open_collection(raw), open_collection(data / "inks")):
        entries = [entry for entry in collection.entries if entry.key in GOOD][::-1]
        pictures = collection.pictures(entries, INK_CANVAS)
        shapes = {entry.key: picture for entry, picture in zip(entries, pictures, strict=True)}
        wide, narrow = shapes["a/two"], shapes["a/one"]
        assert wide is not None
        assert narrow is not None
        assert wide.shape == (INK_CANVAS.height_px, INK_CANVAS.width_px)
        assert (wide < 255).any(axis=0).sum() > (narrow < 255).any(axis=0).sum()


def test_rejections_are_drawn_where_they_have_strokes(data: Path) -> None:
    """Whether a rejection was right is seen in its ink, wherever that lies."""
    of_inks = open_collection(data / "inks" / "rejects.parquet")
    empty, unlabelled = of_inks.pictures(of_inks.entries, INK_CANVAS)
    assert empty is None
    assert unlabelled is not None
    assert unlabelled.min() == 0
    of_shards = open_collection(data / "shards" / "rejects.parquet")
    (long,) = of_shards.pictures(of_shards.entries, INK_CANVAS)
    assert long is not None
    assert "long-label        1, such as inkml/a/two.inkml: 999 tokens" in words(data / "shards" / "rejects.parquet")


def test_rejections_without_their_inks_are_still_told(data: Path, tmp_path: Path) -> None:
    """A rejects.parquet that was sent by mail has no folders beside it."""
    path = tmp_path / "rejects.parquet"
    shutil.copy(data / "inks" / "rejects.parquet", path)
    code, said = latexify(str(path), "--sheet", str(tmp_path / "sheet.png"))
    assert code == 0
    assert "empty-file        1" in said
    assert (tmp_path / "sheet.png").is_file()


def test_command_searches_and_draws(data: Path, tmp_path: Path) -> None:
    """One command, without params.yaml, from a question to a picture."""
    sheet = tmp_path / "new" / "sheet.png"
    code, said = latexify(
        str(data / "inks"), str(data / "shards"), "--label", "7", "--sheet", str(sheet), "--count", "5"
    )
    assert code == 0
    assert "1 match" in said
    assert "b/three  7  1 tokens  3 strokes" in said
    assert f"{sheet}: 6 pictures" in said
    assert Image.open(sheet).format == "PNG"
    error, _ = latexify(str(data / "inks"), "--label", "no such", "--sheet", str(sheet))
    assert "nothing to draw" in str(error)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "does not exist"),
        (lambda path: path.mkdir(), "holds no InkML"),
        (lambda path: path.write_text("no archive"), "cannot be read as a tar or zip"),
        (lambda path: (path.mkdir(), (path / "manifest.json").write_text("{")), "is not a manifest"),
        (lambda path: (path.mkdir(), (path / "manifest.json").write_text(json.dumps({"kind": "inks"}))), "manifest"),
    ],
)
def test_paths_that_hold_nothing_to_see_are_one_line(tmp_path: Path, make: object, message: str) -> None:
    """A mistyped path must say so, not dump a traceback."""
    assert callable(make)
    make(tmp_path / "thing")
    error, _ = latexify(str(tmp_path / "thing"))
    assert isinstance(error, LatexifyError)
    assert message in str(error)


def test_other_parquet_files_are_one_line(data: Path, tmp_path: Path) -> None:
    """Predictions are Parquet, too, but hold no inks."""
    pq.write_table(pq.read_table(data / "shards" / "index.parquet"), tmp_path / "other.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    for name, message in (("other", "neither inks nor rejections"), ("broken", "is damaged"), ("no", "does not exist")):
        error, _ = latexify(str(tmp_path / f"{name}.parquet"))
        assert message in str(error)


def test_damaged_samples_are_shown_as_such(data: Path, tmp_path: Path) -> None:
    """Looking into a damaged folder is when inspect is needed most."""
    shutil.copytree(data / "shards", tmp_path / "shards")
    path = tmp_path / "shards" / "test-00000.tar"
    content = bytearray(path.read_bytes())
    content[600:2600] = bytes(2000)
    path.write_bytes(content)
    code, said = latexify(str(tmp_path / "shards"), "--sheet", str(tmp_path / "sheet.png"), "--split", "test")
    assert code == 0
    assert "damaged           1, such as" in said


@pytest.mark.real
def test_crohme_is_told_and_drawn(real_data: Path, tmp_path: Path) -> None:
    """Real inks: an archive as published, within seconds."""
    sheet = tmp_path / "sheet.png"
    code, said = latexify(str(real_data / "crohme" / "test2014.tar.xz"), "--sheet", str(sheet), "--pick", "longest")
    assert code == 0
    assert "986 InkML files" in said
    assert "left out" not in said
    assert Image.open(sheet).size[0] > 1000
