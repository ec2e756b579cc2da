"""The inks folder: what is written is read back, and an incomplete folder is refused."""

import hashlib
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import Ink, Reason, Rejection, Stroke, StrokeColumns
from latexify.pipeline.inks.schemas import INK_SCHEMA, REJECT_SCHEMA
from latexify.pipeline.inks.table import content_hashes, inks_of, read_batches, read_inks, rejects_table, write_part
from tests.support.ink_tables import ink_table

coordinates = st.floats(width=32, allow_nan=False, allow_infinity=False)
strokes = st.lists(st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=5), min_size=1, max_size=5)


def make_ink(points: list[list[tuple[float, float]]], *, key: str = "k", writer: str | None = None) -> Ink:
    """An ink with the given strokes."""
    return Ink(
        key=key,
        split="train",
        label=" $x$ ",
        normalized_label="x",
        strokes=[np.array(stroke, np.float32) for stroke in points],
        writer=writer,
        source="here",
    )


def content_hash(strokes: Sequence[Stroke]) -> str:
    """The hash of one ink."""
    return content_hashes(StrokeColumns.of([strokes]))[0]


def assert_same(one: Ink, two: Ink) -> None:
    """All fields are equal, the strokes bit for bit."""
    names = ("key", "split", "label", "normalized_label", "writer", "source")
    assert [getattr(one, name) for name in names] == [getattr(two, name) for name in names]
    assert [stroke.tobytes() for stroke in one.strokes] == [stroke.tobytes() for stroke in two.strokes]
    assert all(stroke.dtype == np.float32 and stroke.shape[1] == 2 for stroke in two.strokes)


@given(st.lists(strokes, max_size=4))
def test_inks_come_back_from_rows(many: list[list[list[tuple[float, float]]]]) -> None:
    """Strokes and inks must stay apart."""
    inks = [make_ink(points, key=str(number), writer="w" if number % 2 else None) for number, points in enumerate(many)]
    table = ink_table(inks)
    assert table.schema == INK_SCHEMA
    assert table["num_points"].to_pylist() == [sum(map(len, points)) for points in many]
    found = [ink for batch in table.to_batches() for ink in inks_of(batch)]
    for one, two in zip(inks, found, strict=True):
        assert_same(one, two)


def test_hash_tells_strokes_apart() -> None:
    """The same points in other strokes are another ink; the hash must be that of the schema, on every machine."""
    joined, parted = make_ink([[(1, 2), (3, 4)]]), make_ink([[(1, 2)], [(3, 4)]])
    expected = hashlib.sha256(struct.pack("<i4f", 2, 1, 2, 3, 4)).hexdigest()[:32]
    assert content_hash(joined.strokes) == expected
    assert content_hash(joined.strokes) != content_hash(parted.strokes)


def test_hash_ignores_points_that_draw_nothing() -> None:
    """36 training inks of CROHME occur a second time with repeated points; going back to a point is a movement."""
    once, repeated = make_ink([[(1, 2), (3, 4)]]), make_ink([[(1, 2), (1, 2), (3, 4), (3, 4)]])
    back = make_ink([[(1, 2), (3, 4), (1, 2)]])
    dots = make_ink([[(1, 2)], [(1, 2)], [(1, 2)]])
    assert content_hash(dots.strokes) == hashlib.sha256(struct.pack("<3i6f", 1, 1, 1, *[1, 2] * 3)).hexdigest()[:32]
    assert content_hash(once.strokes) == content_hash(repeated.strokes) != content_hash(back.strokes)
    assert content_hash(make_ink([[(1, 2)] * 3]).strokes) == content_hash(make_ink([[(1, 2)]]).strokes)


def test_folder_is_read_in_order_and_by_batches(tmp_path: Path) -> None:
    """Later stages stream the inks: in order, without holding all of them, and only the columns they need."""
    for part in range(2):
        table = ink_table([make_ink([[(part, row)]], key=f"{part}/{row}") for row in range(5)])
        write_part(tmp_path / f"part-0000{part}.parquet", table)
    with pytest.raises(LatexifyError, match="run `latexify ingest` first"):
        next(read_batches(tmp_path))
    content = {"parts": [{"name": f"part-0000{part}.parquet", "num_rows": 5} for part in range(2)]}
    write_manifest(tmp_path, Manifest(kind="inks", version=1, params={}, inputs={}, content=content))
    assert [ink.key for ink in read_inks(tmp_path)] == [f"{part}/{row}" for part in range(2) for row in range(5)]
    batches = list(read_batches(tmp_path, columns=["key"], max_rows=2))
    assert [batch.num_rows for batch in batches] == [2, 2, 1] * 2
    assert batches[0].schema.names == ["key"]


def test_rejections_are_a_table_even_if_none() -> None:
    """A missing file would look as if the stage had not counted rejections."""
    assert rejects_table([]).schema == REJECT_SCHEMA
    table = rejects_table([Rejection(key="k", source="s", reason=Reason.NO_LABEL, detail="d")])
    assert table.schema == REJECT_SCHEMA
    assert table.to_pylist() == [{"key": "k", "source": "s", "reason": "no-label", "detail": "d"}]
