"""Labelled inks from files, folders and archives: every one is read or accounted for."""

import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.evaluate.inks import LabelledInks, read_labelled_inks

LABELS = ["normalizedLabel", "truth"]


def ink(label: str | None, *, kind: str = "truth", y: int = 1) -> str:
    """An InkML file."""
    truth = "" if label is None else f'<annotation type="{kind}">{label}</annotation>'
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{truth}<trace>0 0, 9 {y}</trace></ink>'


def put(folder: Path, files: dict[str, str]) -> Path:
    """Write files."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def read(*paths: Path) -> LabelledInks:
    """The inks of paths."""
    return read_labelled_inks(list(map(str, paths)), labels=LABELS, split="test")


def test_files_folders_and_archives_give_the_same_inks(tmp_path: Path) -> None:
    """What is packed how is a matter of taste."""
    files = {"b/two.inkml": ink("y"), "one.inkml": ink("$x^2$"), "b/three.inkml": ink("z", kind="normalizedLabel")}
    folder = put(tmp_path / "inks", files)
    with tarfile.open(tmp_path / "inks.tar.xz", "w:xz") as tar:
        tar.add(folder, "")
    with zipfile.ZipFile(tmp_path / "inks.zip", "w") as archive:
        for name in files:
            archive.write(folder / name, name)
    expected = [("b/three", "z"), ("b/two", "y"), ("one", "x^{2}")]
    for path in (folder, tmp_path / "inks.tar.xz", tmp_path / "inks.zip"):
        found = read(path).inks
        assert [(each.key, each.normalized_label) for each in found] == expected
        assert [each.label for each in found] == ["z", "y", "$x^2$"]
    single = read(folder / "one.inkml", folder / "b/two.inkml").inks
    assert [each.key for each in single] == ["one", "two"]


def test_keys_of_several_paths_stay_apart(tmp_path: Path) -> None:
    """Two folders with files of the same names are two sets of inks."""
    for name in ("old", "new"):
        put(tmp_path / name, {"a.inkml": ink("x")})
    assert [each.key for each in read(tmp_path / "old", tmp_path / "new").inks] == ["new/a", "old/a"]


def test_other_formats_count_by_content(tmp_path: Path) -> None:
    """Office's suffix, labelled JSON; a package.json beside them is not an ink."""
    folder = put(
        tmp_path / "inks",
        {
            "a.xml": ink("x"),
            "b.json": json.dumps({"strokes": [[[0, 0], [1, 1]]], "truth": "y"}),
            "c.svg": '<svg><path stroke="red" d="M0 0L1 1"/></svg>',
            "package.json": "{}",
            "other.xml": "<html/>",
            ".hidden.inkml": "",
            "__MACOSX/x.inkml": "",
        },
    )
    found = read(folder)
    assert [each.normalized_label for each in found.inks] == ["x", "y"]
    assert found.account.rejected == {"no-label": 1}  # the SVG
    assert found.account.others == {".json": 1, ".xml": 1}


def test_no_input_is_lost(tmp_path: Path) -> None:
    """A score over fewer inks than the user thinks is wrong."""
    folder = put(
        tmp_path / "inks",
        {
            "good.inkml": ink("x"),
            "none.inkml": ink(None),
            "other.inkml": ink("x", kind="Truth"),
            "nothing.inkml": ink("$$"),
            "cut.inkml": ink("x")[:60],
            "empty.inkml": "",
        },
    )
    account = read(folder).account
    assert account.num_inputs == 6
    assert account.num_scored == 1
    assert account.rejected == {"no-label": 2, "bad-label": 1, "malformed-xml": 1, "empty-file": 1}
    details = {rejection.source.rpartition("/")[2]: rejection.detail for rejection in account.rejections}
    assert "the ink has Truth" in details["other.inkml"]
    assert "the ink has no annotation" in details["none.inkml"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.inkml": ink(None), "b.inkml": ink("x", kind="Truth")}, "none of the 2 inks has a label .*--label"),
        (
            {"a.inkml": "", "b.inkml": ink(None)},
            r"none of the 2 inks can be evaluated: empty-file \(1\), no-label \(1\)",
        ),
        ({"a.txt": "x"}, "no inks to evaluate in"),
    ],
)
def test_a_test_set_without_labels_is_refused_in_one_line(tmp_path: Path, files: dict[str, str], words: str) -> None:
    """There is nothing to score."""
    folder = put(tmp_path / "inks", files)
    with pytest.raises(LatexifyError, match=words) as refused:
        read(folder)
    assert "\n" not in str(refused.value)


def test_missing_and_damaged_paths_are_one_line(tmp_path: Path) -> None:
    """A typing mistake in the first argument."""
    with pytest.raises(LatexifyError, match="does not exist"):
        read(tmp_path / "gone.tar")
    (tmp_path / "not.tar").write_bytes(b"\x1f\x8bdamaged")
    with pytest.raises(LatexifyError, match="cannot be read as a tar or zip archive"):
        read(tmp_path / "not.tar")
