"""Lists of labels are found among the pictures, in the layouts of published datasets."""

import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.labels.lists import ListSettings, list_files, read_lists
from latexify.pipeline.labels.matching import match

FORMULAS = b"x^2\r\n\\frac{1}{2}\ny \\le\r z\n"
HME = {"train_images/train_0.jpg": b"", "train_images/train_1.jpg": b"", "test_images/test_0.jpg": b""}
LAYOUTS: dict[str, dict[str, bytes]] = {
    "folder and CSV": {
        "a.png": b"",
        "b.png": b"",
        "c.png": b"",
        "labels.csv": b"image,latex\na.png,A\nb.png,B\nc.png,C\n",
    },
    "im2latex": {
        **{f"formula_images/{name}.png": b"" for name in ("a1", "b2", "c3")},
        "im2latex_formulas.lst": FORMULAS,
        "im2latex_train.lst": b"0 a1 basic\n1 b2 basic\n",
        "im2latex_validate.lst": b"",
        "im2latex_test.lst": b"2 c3 basic\n",
    },
    "im2markup": {
        **{f"images/{name}.png": b"" for name in ("a1", "b2", "c3")},
        "formulas.lst": FORMULAS,
        "train.lst": b"a1.png 0\nb2.png 1\n",
        "test.lst": b"c3.png 2\n",
    },
    "HME100K": {
        **HME,
        "train_labels.txt": b"train_0.jpg\tA\ntrain_1.jpg\tB , C\n",
        "test_labels.txt": b"test_0.jpg\tD\n",
    },
    "pix2tex": {
        "math.txt": FORMULAS,
        "train/0000000.png": b"",
        "val/0000001.png": b"",
        "test/0000002.png": b"",
    },
    "texts beside": {"x/a.png": b"", "x/a.txt": b"A\n", "x/b.jpg": b"", "x/b.txt": b" B", "readme.txt": b"hello"},
}
LABELS = {
    "folder and CSV": {"a.png": "A", "b.png": "B", "c.png": "C"},
    "im2latex": dict(zip(("a1.png", "b2.png", "c3.png"), ("x^2", "\\frac{1}{2}", "y \\le\r z"), strict=True)),
    "im2markup": dict(zip(("a1.png", "b2.png", "c3.png"), ("x^2", "\\frac{1}{2}", "y \\le\r z"), strict=True)),
    "HME100K": {"train_0.jpg": "A", "train_1.jpg": "B , C", "test_0.jpg": "D"},
    "pix2tex": {"0000000.png": "x^2", "0000001.png": "\\frac{1}{2}", "0000002.png": "y \\le\r z"},
    "texts beside": {"a.png": "A", "b.jpg": "B"},
}


def write(files: Mapping[str, bytes], at: Path, kind: str) -> Path:
    """Write the files into a folder or an archive."""
    if kind == "folder":
        for name, data in files.items():
            (at / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (at / "folder" / name).write_bytes(data)
    elif kind == "zip":
        with zipfile.ZipFile(at / "zip", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(at / "tar.xz", "w:xz") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(f"set/{name}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return at / kind


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.xz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_is_recognised(layout: str, kind: str, tmp_path: Path) -> None:
    """Nobody should have to rewrite a published dataset."""
    files = list_files(write(LAYOUTS[layout], tmp_path, kind), name="data")
    matched = match(files.pictures, read_lists([files], ListSettings()))
    found = {label.name.rpartition("/")[2]: label.annotations.get("label") for label in matched.labels}
    assert found == LABELS[layout]
    assert not matched.rejections


@pytest.mark.parametrize("layout", ["im2latex", "im2markup", "HME100K"])
def test_the_names_of_lists_give_the_splits(layout: str, tmp_path: Path) -> None:
    """The published splits make figures comparable."""
    files = list_files(write(LAYOUTS[layout], tmp_path, "folder"), name="data")
    matched = match(files.pictures, read_lists([files], ListSettings(split_by="file")))
    assert sorted(label.annotations["split"] for label in matched.labels) == ["test", "train", "train"]


def test_lists_of_names_give_the_splits(tmp_path: Path) -> None:
    """Labels in one file, splits in others."""
    files = list_files(write(LAYOUTS["folder and CSV"], tmp_path, "folder"), name="data")
    for split, names in {"train": "a.png\nb\n", "valid": "c.png\n"}.items():
        (tmp_path / f"{split}.txt").write_text(names)
    lists = [(name, tmp_path / name) for name in ("train.txt", "valid.txt")]
    matched = match(files.pictures, read_lists([files], ListSettings(split_by="file", split_lists=lists)))
    assert [label.annotations["split"] for label in matched.labels] == ["train", "train", "valid"]
    (tmp_path / "others.txt").write_text("a.png\n")
    with pytest.raises(LatexifyError, match="must hold train, valid or test"):
        read_lists([files], ListSettings(split_by="file", split_lists=[("others.txt", tmp_path / "others.txt")]))


def test_which_of_several_lists_is_meant_must_be_said(tmp_path: Path) -> None:
    """Labels of another version would be mixed in."""
    lists = {"labels.csv": b"image,latex\na.png,A\n", "old.csv": b"image,latex\na.png,B\n"}
    folder = write({"a.png": b"", **lists}, tmp_path, "folder")
    files = list_files(folder, name="data")
    with pytest.raises(LatexifyError, match=r"data holds several lists of labels \(labels.csv, old.csv\)"):
        read_lists([files], ListSettings())
    named = ListSettings(lists=[("old.csv", folder / "old.csv")])
    assert match(files.pictures, read_lists([files], named)).labels[0].annotations["label"] == "B"
    with pytest.raises(LatexifyError, match=r"labels\.csv: its name holds neither train"):
        read_lists([files], ListSettings(split_by="file", lists=[("labels.csv", folder / "labels.csv")]))
    with pytest.raises(LatexifyError, match=r"gone\.csv: there is no such list"):
        read_lists([files], ListSettings(lists=[("gone.csv", folder / "gone.csv")]))


def test_numbers_beyond_the_formulas_are_rejected(tmp_path: Path) -> None:
    """A list of another version of the dataset would give wrong labels."""
    files = list_files(
        write(
            {"7.png": b"", "a.png": b"", "formulas.lst": FORMULAS, "train.lst": b"9 a\n0 7\nx\n"}, tmp_path, "folder"
        ),
        name="data",
    )
    matched = match(files.pictures, read_lists([files], ListSettings()))
    assert [label.detail for label in matched.labels][1] == (
        "data/train.lst:1: there is no formula 9: the list has 3, counted from 0"
    )
    assert matched.labels[0].annotations["label"] == "x^2"
    assert [rejection.source for rejection in matched.rejections] == ["data/train.lst:3"]
