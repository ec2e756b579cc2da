"""The dataset `images`: every picture and every row of a list is accounted for, and splits are as params.yaml says."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SOURCE
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.table import read_inks
from tests.support.handwriting import encoded, png_without_pixels
from tests.support.picture_data import picture, put, rejects, run_ingest, run_source, table

HEIC = (24).to_bytes(4, "big") + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(50)


def split_of(at: Path, **params: Any) -> dict[str, str]:
    """Split of each picture after source and ingest."""
    run_source(at, **params)
    run_ingest(at)
    return {ink.source.rpartition("/")[2]: ink.split for ink in read_inks(at / "inks")}


def test_every_input_is_a_row_or_a_rejection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture or a label that vanished could not be found again."""
    monkeypatch.setattr("latexify.pipeline.image.decode.find_spec", lambda _: None)
    blank = encoded(np.full((60, 80), 240.0))
    nested = io.BytesIO()
    with zipfile.ZipFile(nested, "w") as archive:
        archive.writestr("z.png", picture(9))
    files = {
        "good.png": picture(1),
        "unlabelled.png": picture(2),
        "twice.png": picture(3),
        "contradictory.png": picture(4),
        "huge.png": png_without_pixels(20_000, 15_000),
        "damaged.png": picture(5)[:200],
        "text.png": b"this is no picture",
        "empty.png": b"",
        "phone.heic": HEIC,
        "blank.png": blank,
        "more.zip": nested.getvalue(),
        "notes.md": b"hello",
        ".hidden.png": b"",
        "no-latex.png": picture(6),
    }
    names = ("good", "twice", "twice", "contradictory", "huge", "damaged", "text", "empty", "blank")
    rows = [(f"{name}.png", "x") for name in names]
    rows += [("contradictory.png", "y"), ("phone.heic", "x"), ("gone.png", "x"), ("no-latex.png", "")]
    put(tmp_path / "raw/images", {**files, "labels.csv": table(rows)})
    run_source(tmp_path)
    assert (
        "source: 8 of 11 pictures have a label; files of other kinds are left out: .md (1)" in capsys.readouterr().err
    )
    counts = run_ingest(tmp_path)
    assert sum(counts["rows"].values()) == 2
    assert counts["inputs"] == 2 + sum(counts["rejected"].values()) == 14
    reasons = {name.removeprefix("images/"): reason for name, (reason, _) in rejects(tmp_path).items()}
    assert reasons == {
        "unlabelled.png": "no-label",
        "no-latex.png": "no-label",
        "contradictory.png": "contradictory-label",
        "huge.png": "too-large",
        "damaged.png": "damaged-picture",
        "text.png": "not-a-picture",
        "empty.png": "empty-file",
        "phone.heic": "unsupported-picture",
        "blank.png": "blank-picture",
        "more.zip": "nested-archive",
        "labels.csv:4": "duplicate-row",
        "labels.csv:13": "no-picture",
    }
    details = rejects(tmp_path)
    assert "more than 80,000,000 pixels" in details["images/huge.png"][1]
    assert "pillow-heif" in details["images/phone.heic"][1]


def test_files_that_are_no_pictures_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Someone may have written the pictures in a format that is not read."""
    files = {"a.png": picture(1), "b.psd": b"x", "c.psd": b"x", "labels.csv": table([("a.png", "x")])}
    put(tmp_path / "raw/images", files)
    run_source(tmp_path)
    error = capsys.readouterr().err
    assert "source: 1 of 1 pictures have a label; files of other kinds are left out: .psd (2)" in error


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz"])
def test_archives_give_what_folders_give(kind: str, tmp_path: Path) -> None:
    """Nobody should have to unpack a dataset."""
    files = {f"set/p{number}.png": picture(number) for number in range(3)}
    files["set/labels.csv"] = table([(f"p{number}.png", f"x^{number}") for number in range(3)])
    raw = tmp_path / "raw"
    raw.mkdir()
    if kind == "folder":
        put(raw / "data", files)
    elif kind == "zip":
        with zipfile.ZipFile(raw / "data", "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(raw / "data", "w:gz" if kind == "tar.gz" else "w") as tar:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    run_source(tmp_path, paths=["data"])
    assert run_ingest(tmp_path)["rejected"] == {}
    inks = {ink.key: ink for ink in read_inks(tmp_path / "inks")}
    assert {key: ink.label for key, ink in inks.items()} == {f"set/p{n}%2Epng": f"x^{n}" for n in range(3)}
    assert all(ink.strokes and ink.source.startswith("data/set/p") for ink in inks.values())


def test_splits_by_column_file_folder_and_hash(tmp_path: Path) -> None:
    """People bring their own splits, and want comparable figures."""
    pictures = {f"p{number}.png": picture(number) for number in range(4)}
    splits = ("train", "Training", "dev", "test")
    rows = [(f"p{number}.png", f"x^{number}", split) for number, split in enumerate(splits)]
    put(tmp_path / "raw/a", {**pictures, "l.csv": table(rows, ("image", "latex", "part"))})
    wanted = {"p0.png": "train", "p1.png": "train", "p2.png": "valid", "p3.png": "test"}
    assert split_of(tmp_path, paths=["a"], split_by="column", split_column="part") == wanted
    with pytest.raises(LatexifyError, match=r"no column 'split' .images.split_column.*'image', 'latex', 'part'"):
        run_source(tmp_path, paths=["a"], split_by="column")
    for split in ("train", "valid", "test"):
        names = "\n".join(name for name, its in wanted.items() if its == split)
        (tmp_path / f"raw/{split}.lst").write_text(names)
    lists = [f"{split}.lst" for split in ("train", "valid", "test")]
    assert split_of(tmp_path, paths=["a"], split_by="file", split_files=lists) == wanted
    put(tmp_path / "raw/b", {f"{wanted[name]}/{name}": data for name, data in pictures.items()})
    assert split_of(tmp_path, paths=["b"], labels=["a/l.csv"], split_by="folder") == wanted
    assert set(split_of(tmp_path, paths=["a"]).values()) <= {"train", "valid", "test"}


def test_training_labels_are_held_out_where_there_is_no_validation_split(tmp_path: Path) -> None:
    """HME100K has none, and a training needs one."""
    rows = [(f"p{number}.png", f"x^{{{number}}}", "test" if number < 3 else "train") for number in range(20)]
    files = {name: picture(number) for number, (name, _, _) in enumerate(rows)}
    put(tmp_path / "raw/a", {**files, "l.csv": table(rows, ("image", "latex", "split"))})
    splits = list(split_of(tmp_path, paths=["a"], split_by="column", valid_fraction=0.4).values())
    assert splits.count("test") == 3
    assert 1 <= splits.count("valid") <= 14
    splits = list(split_of(tmp_path, paths=["a"], split_by="column", valid_fraction=0).values())
    assert splits.count("valid") == 0


def test_a_picture_without_split_is_rejected(tmp_path: Path) -> None:
    """It must not be trained on by accident."""
    put(tmp_path / "raw/images", {"a.png": picture(1), "b.png": picture(2)})
    rows = [("a.png", "x", "train"), ("b.png", "x", "later")]
    put(tmp_path / "raw/images", {"l.csv": table(rows, ("image", "latex", "split"))})
    assert split_of(tmp_path, split_by="column") == {"a.png": "train"}
    assert rejects(tmp_path)["images/b.png"][0] == "no-split"


def test_a_changed_label_changes_the_fingerprint(tmp_path: Path) -> None:
    """Later stages would go on with the old label."""
    put(tmp_path / "raw/images", {"a.png": picture(1), "l.csv": table([("a.png", "x")])})
    run_source(tmp_path)
    before = read_manifest(tmp_path / "source", SOURCE).fingerprint
    put(tmp_path / "raw/images", {"l.csv": table([("a.png", "y")])})
    run_source(tmp_path)
    after = read_manifest(tmp_path / "source", SOURCE).fingerprint
    assert before != after
    put(tmp_path / "raw/images", {"b.png": picture(2)})
    with pytest.raises(LatexifyError, match="has changed since"):
        run_ingest(tmp_path)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    """A wrong path is the usual mistake."""
    put(tmp_path / "raw/images", {"l.csv": table([("a.png", "x")])})
    with pytest.raises(LatexifyError, match="images holds no pictures"):
        run_source(tmp_path)
    with pytest.raises(LatexifyError, match="elsewhere does not exist"):
        run_source(tmp_path, paths=["elsewhere"])
    put(tmp_path / "raw/images", {"pictures.zip": b"PK"})
    with pytest.raises(LatexifyError, match=r"no pictures: name the archives inside .*images/pictures\.zip"):
        run_source(tmp_path)
