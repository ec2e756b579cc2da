"""Parquet files that hold the pictures are read like archives, with the labels that they hold."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import Ink
from latexify.pipeline.inks.table import read_inks
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.embedded import is_parquet, picture_column
from latexify.serve.evaluate.pictures import Treatments, hold_pictures, read_labelled_pictures
from tests.support.picture_data import picture, put, rejects, run_ingest, run_source

LABELS = ["x", "y^2", None, "a+b"]


def parquet(**columns: Any) -> bytes:
    """A Parquet file, in row groups of three."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, row_group_size=3)
    return buffer.getvalue()


def pictures(count: int = 4) -> list[dict[str, object]]:
    """The column `image` as Hugging Face `datasets` writes it."""
    return [{"bytes": picture(number), "path": f"p{number}.png"} for number in range(count)]


def rows_of(at: Path) -> list[Ink]:
    """What ingest wrote, by split and key."""
    return sorted(read_inks(at / "inks"), key=lambda ink: (ink.split, ink.key))


def test_each_row_is_a_picture_with_its_label(tmp_path: Path) -> None:
    """The usual form of data sets on the Hub; nothing has to be unpacked."""
    columns = {"id": [7, 8, 9, 10], "image": pictures(), "text": LABELS, "writer": ["ann", "ann", "bob", "bob"]}
    put(tmp_path / "raw", {"train-00000-of-00001.parquet": parquet(**columns)})
    run_source(tmp_path, paths=["train-00000-of-00001.parquet"], valid_fraction=0, test_fraction=0)
    run_ingest(tmp_path)
    rows = rows_of(tmp_path)
    assert [(row.label, row.writer) for row in rows] == [("x", "ann"), ("y^2", "ann"), ("a+b", "bob")]
    assert rows[0].source == "train-00000-of-00001.parquet/train-00000-of-00001/00000000.png"
    assert [reason for reason, _ in rejects(tmp_path).values()] == ["no-label"]


def test_the_rows_are_those_of_a_folder_of_the_same_pictures(tmp_path: Path) -> None:
    """How the pictures are packed must make no difference to what is trained on."""
    put(tmp_path / "a/raw", {"set.parquet": parquet(picture=[picture(1), picture(2)], latex=["x", "y"])})
    run_source(tmp_path / "a", paths=["set.parquet"])
    put(tmp_path / "b/raw", {f"set/{number:08}.png": picture(number + 1) for number in range(2)})
    put(tmp_path / "b/raw", {"set/labels.csv": b"file_name,latex\n00000000.png,x\n00000001.png,y\n"})
    run_source(tmp_path / "b", paths=["set"])
    both = []
    for name in "ab":
        run_ingest(tmp_path / name)
        both.append([(row.label, row.split, [x.tolist() for x in row.strokes]) for row in rows_of(tmp_path / name)])
    assert both[0] == both[1]


def test_splits_are_those_of_file_names_or_a_column(tmp_path: Path) -> None:
    """Data sets on the Hub have a file for each split."""
    for split, number in (("train", 1), ("validation", 2), ("test", 3)):
        data = parquet(image=pictures(number)[-1:], latex=[f"x_{number}"], part=[split])
        put(tmp_path / "raw", {f"{split}.parquet": data})
    paths = ["train.parquet", "validation.parquet", "test.parquet"]
    for params in ({"split_by": "file"}, {"split_by": "column", "split_column": "part"}):
        run_source(tmp_path, paths=paths, **params)
        run_ingest(tmp_path)
        rows = rows_of(tmp_path)
        assert [(row.split, row.label) for row in rows] == [("test", "x_3"), ("train", "x_1"), ("valid", "x_2")]


def test_pictures_in_parquet_are_evaluated(tmp_path: Path) -> None:
    """A test set from the Hub needs no unpacking either."""
    path = tmp_path / "test.parquet"
    path.write_bytes(parquet(image=pictures(), latex=LABELS))
    assert hold_pictures([str(path)])
    found = read_labelled_pictures([str(path)], lists=(), label_column=None, split="test", treatments=Treatments())
    assert [ink.label for ink in found.inks] == ["x", "y^2", "a+b"]
    assert found.account.rejected == {"no-label": 1}


def test_members_are_listed_without_their_content(tmp_path: Path) -> None:
    """A list of a million pictures must not read all of them."""
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet(image=[*pictures(3), {"bytes": None, "path": "elsewhere.png"}], latex=LABELS))
    assert is_parquet(path)
    assert not is_parquet(tmp_path)
    assert [member.data for member in iter_members(path, max_bytes=None)] == [None] * 4
    read = list(iter_members(path, max_bytes=10**6))
    assert [member.name for member in read] == [f"a/{row:08}.png" for row in range(4)]
    assert [member.data for member in read] == [picture(0), picture(1), picture(2), b""]
    assert [member.data for member in iter_members(path, max_bytes=10)] == [None, None, None, b""]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (parquet(file_name=["a.png"], latex=["x"]), r"holds no pictures .*'file_name', 'latex'.* in images\.labels"),
        (parquet(image=pictures(1), words=["x"]), r"a\.parquet: which of the columns 'image', 'words' hold"),
        (parquet(image=pictures(1), latex=[b"x"]), r"a\.parquet: the column 'latex' holds binary, not text"),
        (parquet(image=pictures(1), latex=["x"])[:-30], r"a\.parquet is no Parquet file, or damaged"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    """With what to do about it."""
    put(tmp_path / "raw", {"a.parquet": content})
    with pytest.raises(LatexifyError, match=problem) as refusal:
        run_source(tmp_path, paths=["a.parquet"])
    assert "\n" not in str(refusal.value)


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their pictures would have the same names."""
    put(tmp_path / "raw", {f"{part}/train.parquet": parquet(image=pictures(1), latex=["x"]) for part in "ab"})
    with pytest.raises(LatexifyError, match=r"two Parquet files .* are named 'train'"):
        run_source(tmp_path, paths=["a/train.parquet", "b/train.parquet"])


def test_a_folder_of_such_files_says_where_to_name_them(tmp_path: Path) -> None:
    """A list of labels has the same suffix."""
    put(tmp_path / "raw/images", {"a.png": picture(1), "l.parquet": parquet(image=pictures(1), latex=["x"])})
    with pytest.raises(LatexifyError, match=r"if it holds the pictures, name the file in images\.paths"):
        run_source(tmp_path)


def test_the_column_of_pictures_is_found_by_type() -> None:
    """Its name differs from data set to data set."""
    struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    assert picture_column(pa.schema([("hash", pa.binary()), ("image", struct)])) == "image"
    assert picture_column(pa.schema([("latex", pa.string()), ("scan", struct)])) == "scan"
    assert picture_column(pa.schema([("latex", pa.string())])) is None
