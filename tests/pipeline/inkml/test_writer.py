"""The InkML writer, and archives of InkML."""

import tarfile
from pathlib import Path

import numpy as np
import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.writer import COMPACT, RECORDED, InkmlStyle, inkml, write_archive

POINTS = np.array([[1.25, 2.5, 0], [3.0, 4.0, 12], [5.5, 6.25, 40]])


@pytest.mark.parametrize("style", [RECORDED, COMPACT])
def test_documents_are_read_back(style: InkmlStyle) -> None:
    """Ingest must find the strokes and annotations that were written."""
    points = POINTS[:, : len(style.channels)]
    document = inkml(points, [2, 1], {"label": "a<b & 5%", "writer": "w1"}, style)
    ink = parse_inkml(document, max_file_bytes=10**6, max_points=100)
    assert ink.annotations == {"label": "a<b & 5%", "writer": "w1"}
    assert [len(stroke) for stroke in ink.strokes] == [2, 1]
    np.testing.assert_allclose(np.concatenate(ink.strokes), POINTS[:, :2], atol=0.051)


def test_recorded_documents_are_spelled_like_mathwritings() -> None:
    """Their bytes are part of the dataset's identity."""
    assert inkml(POINTS[:1], [1], {"label": "x"}, RECORDED).decode() == (
        '<ink xmlns="http://www.w3.org/2003/InkML">\n  <annotation type="label">x</annotation>\n  <traceFormat>\n'
        '    <channel name="X" type="decimal"/>\n    <channel name="Y" type="decimal"/>\n'
        '    <channel name="T" type="decimal"/>\n  </traceFormat>\n  <trace id="0">1.25 2.50 0</trace>\n</ink>\n'
    )


MEMBERS = [("set/a.inkml", b"one"), ("set/b.inkml", b"two" * 300)]


def test_archives_are_those_of_tarfile(tmp_path: Path) -> None:
    """Other programs must be able to read the tar; its bytes must not depend on machine and clock."""
    write_archive(tmp_path / "a.tar", iter(MEMBERS))
    with tarfile.open(tmp_path / "expected.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in MEMBERS:
            (tmp_path / "member").write_bytes(data)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            with (tmp_path / "member").open("rb") as file:
                tar.addfile(info, file)
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "expected.tar").read_bytes()


def test_folders_hold_a_file_for_each_ink_and_are_never_overwritten(tmp_path: Path) -> None:
    """A user's folder must not be mixed with new inks."""
    write_archive(tmp_path / "new", iter(MEMBERS))
    assert {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()} == {
        "a.inkml": b"one",
        "b.inkml": b"two" * 300,
    }
    with pytest.raises(LatexifyError, match="exists already"):
        write_archive(tmp_path / "new", iter(MEMBERS))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
