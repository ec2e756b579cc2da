"""Scanning inputs: what the source manifest says of each folder and archive."""

import hashlib
import tarfile
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.inputs import resolve_input
from latexify.pipeline.inputs.scan import InputSpec, scan_inputs
from latexify.pipeline.inputs.splits import FolderSplit, InputSplit

TRAIN = InputSplit(split="train")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two inks in two folders, and a file that is not an ink."""
    for name, data in {"train/a.inkml": b"1", "other/b.inkml": b"22", "readme.txt": b"333"}.items():
        path = tmp_path / "raw/inks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "raw/inks"


def pack(folder: Path) -> Path:
    """Make a tar of the folder beside it."""
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=".")
    return path


def test_only_selected_files_are_counted(folder: Path, tmp_path: Path) -> None:
    """Files that the dataset ignores must neither be counted nor change the fingerprint."""
    rule = FolderSplit(folders={"train": "train"}, only=True)
    (item,) = scan_inputs([InputSpec(path=folder, name="inks", rule=rule)], base=tmp_path / "source")
    assert (item.kind, item.num_inputs, item.num_bytes) == ("folder", 1, 1)
    assert item.sha256 == hashlib.sha256(b"train/a.inkml\0" + hashlib.sha256(b"1").digest()).hexdigest()
    assert (item.path, item.name, item.key_prefix) == ("../raw/inks", "inks", "")
    assert resolve_input(item, base=tmp_path / "source") == folder.resolve()


def test_a_large_archive_is_hashed_and_not_listed(folder: Path, tmp_path: Path) -> None:
    """Counting the files of MathWriting would decompress gigabytes an extra time."""
    archive = pack(folder)
    specs = [InputSpec(path=archive, name="inks.tar", rule=TRAIN, listed=listed) for listed in (True, False)]
    listed, unlisted = (scan_inputs([spec], base=tmp_path)[0] for spec in specs)
    assert (listed.num_inputs, unlisted.num_inputs) == (2, None)
    assert listed.sha256 == unlisted.sha256 == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert unlisted.num_bytes == archive.stat().st_size


def test_an_input_named_twice_is_an_error(folder: Path, tmp_path: Path) -> None:
    """All its inks would be rejected as duplicates."""
    (tmp_path / "link").symlink_to(folder)
    specs = [InputSpec(path=path, name=path.name, rule=TRAIN) for path in (folder, tmp_path / "link")]
    with pytest.raises(LatexifyError, match=r"is named twice in params\.yaml"):
        scan_inputs(specs, base=tmp_path)


def test_an_input_without_inks_is_an_error(folder: Path, tmp_path: Path) -> None:
    """A wrong path would otherwise show up as a dataset that is too small."""
    rule = FolderSplit(folders={"missing": "train"}, only=True)
    for path in (folder, pack(folder)):
        with pytest.raises(LatexifyError, match="holds no InkML"):
            scan_inputs([InputSpec(path=path, name="inks", rule=rule)], base=tmp_path)


def test_an_input_that_changed_is_refused(folder: Path, tmp_path: Path) -> None:
    """Ingest must not read another archive than the one that the manifest describes."""
    archive = pack(folder)
    (item,) = scan_inputs([InputSpec(path=archive, name="inks.tar", rule=TRAIN)], base=tmp_path)
    archive.write_bytes(archive.read_bytes() + b"\0")
    with pytest.raises(LatexifyError, match=r"inks\.tar has changed since"):
        resolve_input(item, base=tmp_path)


def test_inkml_under_the_suffix_of_office_is_taken_from_folders(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """OneNote's files end in .xml; other XML is left out, and one line says so."""
    (folder / "train" / "c.xml").write_bytes(b'<?xml version="1.0"?><inkml:ink xmlns:inkml="x"/>')
    for name in ("settings.xml", "other.xml"):
        (folder / name).write_bytes(b"<settings/>")
    (item,) = scan_inputs([InputSpec(path=folder, name="inks", rule=TRAIN)], base=tmp_path / "source")
    assert item.num_inputs == 3
    [line] = capsys.readouterr().err.splitlines()
    assert line == "source: inks: 2 .xml files are left out (no InkML), such as other.xml"
    (item,) = scan_inputs([InputSpec(path=pack(folder), name="inks.tar", rule=TRAIN)], base=tmp_path / "source")
    assert item.num_inputs == 2
    assert "inks.tar: 3 .xml files are left out (in an archive)" in capsys.readouterr().err


def test_linked_folders_belong_to_the_dataset(folder: Path, tmp_path: Path) -> None:
    """A dataset put together from links was silently empty."""
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "inks").symlink_to(folder)
    (item,) = scan_inputs([InputSpec(path=tmp_path / "linked", name="linked", rule=TRAIN)], base=tmp_path / "source")
    assert item.num_inputs == 2
