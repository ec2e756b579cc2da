"""Lists of labels of any format, encoding and separator are read rightly, or refused in one line."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.labels.rows import ColumnNames, LabelRow, split_of_file
from latexify.pipeline.labels.tables import read_table

ROWS = [("a.png", r"\frac{1}{2}"), ("b/ä.jpg", "f(x,y)|z;1"), ("c.png", 'x"')]


def read(data: bytes, source: str, /, *, encoding: str | None = None, **columns: object) -> list[LabelRow]:
    """Read a list."""
    return read_table(data, source=source, names=ColumnNames(**columns), encoding=encoding)  # type: ignore[arg-type]


def pairs(rows: list[LabelRow]) -> list[tuple[str, str | None]]:
    """Names and labels; no row may have a problem."""
    assert not [row.problem for row in rows if row.problem]
    return [(row.name, row.label) for row in rows]


def delimited(separator: str, *, header: bool = True) -> str:
    """The rows with every field in quotes."""
    lines = [["File Name", "latex"]] * header + [list(row) for row in ROWS]
    quoted = [[f'"{field.replace(chr(34), chr(34) * 2)}"' for field in line] for line in lines]
    return "\r\n".join(separator.join(line) for line in quoted) + "\r\n"


def parquet(**columns: object) -> bytes:
    """A Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


OBJECTS = [{"latex": label, "image": name} for name, label in ROWS]
FILES = {
    **{f"l{number}.csv": delimited(sign).encode() for number, sign in enumerate([",", ";", "\t", "|"])},
    **{f"no-header{number}.csv": delimited(sign, header=False).encode() for number, sign in enumerate(",;|")},
    "mark.csv": delimited(",").encode("utf-8-sig"),
    "utf16.csv": delimited(";").encode("utf-16"),
    "utf16-without-mark.tsv": delimited("\t").encode("utf-16-le"),
    "utf16-big.tsv": delimited("\t").encode("utf-16-be"),
    "utf32.tsv": delimited("\t").encode("utf-32"),
    "train_labels.txt": "\n".join(f"{name}\t{label}" for name, label in ROWS).encode(),
    "spaces.txt": "\n".join(f"{name} {label}" for name, label in ROWS).encode(),
    "l.jsonl": "\n".join(map(json.dumps, OBJECTS)).encode(),
    "l.json": json.dumps(OBJECTS).encode(),
    "by-name.json": json.dumps(dict(ROWS)).encode(),
    "l.parquet": parquet(file=[name for name, _ in ROWS], formula=[label for _, label in ROWS], size=[1, 2, 3]),
}


@pytest.mark.parametrize("name", FILES)
def test_a_list_is_read_rightly(name: str) -> None:
    """People bring what their tools write; a wrong separator or encoding would make wrong labels."""
    assert pairs(read(FILES[name], name)) == ROWS


def test_another_encoding_is_read_when_it_is_named() -> None:
    """Latin-1 cannot be told from other encodings."""
    data = delimited(",").encode("latin-1")
    with pytest.raises(LatexifyError, match=r"^l.csv: the bytes in line 3 are not utf-8 .*images.encoding"):
        read(data, "l.csv")
    assert pairs(read(data, "l.csv", encoding="latin-1")) == ROWS


def test_columns_are_found_by_usual_names_or_by_those_that_are_given() -> None:
    """A list may have any other columns, and both languages have their own names."""
    text = "id,bild,Ground Truth,formel,split,writer\n7,a.png,x,y,valid,ann\n"
    [row] = read(text.encode(), "l.csv", name="bild", label="formel")
    assert (row.name, row.label, row.split, row.writer) == ("a.png", "y", "valid", "ann")
    [row] = read(text.encode(), "l.csv")
    assert (row.name, row.label) == ("7", "x")


@pytest.mark.parametrize(
    ("data", "name", "columns", "message"),
    [
        (
            b"image,latex\na,b\n",
            "l.csv",
            {"label": "tex"},
            r"no column 'tex' \(images.label_column\).*'image', 'latex'",
        ),
        (b"image,latex\na,b\n", "l.csv", {"needed": ("split",)}, r"no column 'split' \(images.split_column\)"),
        (b"bild,formel\na,b\n", "l.csv", {}, r"columns 'bild', 'formel' hold.*images.name_column"),
        (b'image,latex\na.png,"x\nb.png,y\n', "l.csv", {}, r"line 3 cannot be read .*quotes"),
        (b'{"image": 1', "l.jsonl", {}, "line 1 is no JSON"),
        (b"5", "l.json", {}, "neither a list of objects"),
        (b"PAR1 and no more", "l.parquet", {}, "no Parquet file"),
        (parquet(image=[b"1"], latex=["x"]), "l.parquet", {}, "'image' holds binary, not text"),
        (parquet(image=pa.array([b"\xfb"]).view(pa.string()), latex=["x"]), "l.parquet", {}, "no UTF-8"),
        (b"image,latex\n", "l.csv", {"encoding": "klingon"}, "klingon"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused(
    data: bytes, name: str, columns: dict[str, object], message: str
) -> None:
    """The message names the list, and what to do."""
    with pytest.raises(LatexifyError, match=message) as caught:
        read(data, name, **columns)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "name", "problem"),
    [
        (b"image,latex\na.png,f(x,y)\n", "l.csv", "3 fields, the header has 2"),
        (b"image,latex\na.png\n", "l.csv", "1 fields"),
        (b"a.png,f(x,y)\n", "l.csv", "3 fields, expected a name and a label"),
        (b"a.png\tx\ty\n", "l.txt", "more than one tab"),
        (b"image,latex\n ,x\n", "l.csv", "names no picture"),
        (b'{"image": "a", "latex": ["x"]}', "l.jsonl", "no text"),
        (b'[{"image": "a", "latex": "x"}, 3]', "l.json", "no JSON object"),
        (b'{"image": "a", "latex": "\\ud800"}', "l.jsonl", "surrogate"),
    ],
)
def test_a_row_that_is_not_understood_has_a_problem(data: bytes, name: str, problem: str) -> None:
    """A label that was cut at its comma would be learned as it is."""
    assert problem in (read(data, name)[-1].problem or "")


@pytest.mark.parametrize(
    ("name", "split"),
    [("a/im2latex_train.lst", "train"), ("val.csv", "valid"), ("HME-test.labels.txt", "test"), ("contrain.csv", None)],
)
def test_the_name_of_a_list_says_its_split(name: str, split: str | None) -> None:
    """The lists of published datasets are named so."""
    assert split_of_file(name) == split
