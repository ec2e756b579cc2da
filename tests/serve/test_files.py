"""Files that a command line names: which are taken, the answers of each, and what is doubtful."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from latexify.common.package_data import default_model
from latexify.pipeline.image.decode import decode_image
from latexify.serve.files import FileAnswer, FileFailure, answer_files, list_sources
from latexify.serve.recognizer import Recognizer
from tests.support.files_to_read import write_files
from tests.support.handwriting import ink
from tests.support.no_formulas import NO_FORMULAS


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The shipped model, which is calibrated."""
    recognizer = Recognizer(default_model(), num_threads=1)
    assert recognizer.is_calibrated
    return recognizer


def test_pictures_of_every_format_are_taken_from_a_folder(tmp_path: Path) -> None:
    """A suffix that nobody thought of was left out, though the file could be read by its name."""
    picture = Image.fromarray((255 - 255 * ink()).astype(np.uint8))
    taken = set()
    for suffix, kind in Image.registered_extensions().items():
        if kind in Image.SAVE and kind in Image.OPEN and kind not in {"BUFR", "EPS", "GRIB", "HDF5", "WMF"}:
            mode = "1" if kind in {"MSP", "XBM"} else "P" if kind == "GIF" else "RGBA" if kind == "BLP" else "L"
            mode = {"QOI": "RGB", "PALM": "P", "BLP": "P"}.get(kind, mode)
            picture.convert(mode).save(tmp_path / f"a{suffix}", kind)
            taken.add(str(tmp_path / f"a{suffix}"))
    for suffix in (".eps", ".pdf", ".mpg"):
        (tmp_path / f"a{suffix}").write_bytes(b"")
    sources = list_sources([str(tmp_path)])
    assert set(sources.names) == taken
    assert len(taken) > 30
    assert sources.notice() == "files of other kinds are left out: .eps (1), .mpg (1), .pdf (1)"
    for name in sources.names:
        assert decode_image(Path(name).read_bytes()).shape[0] > 100, name


def test_heic_of_a_folder_is_taken_if_it_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every photo of an iPhone would be an error, or be left out although it could be read."""
    (tmp_path / "a.HEIC").write_bytes(b"")
    for can_read in (True, False):
        monkeypatch.setattr("latexify.serve.files.find_spec", lambda _, can=can_read: can or None)
        sources = list_sources([str(tmp_path)])
        assert sources.names == [str(tmp_path / "a.HEIC" if can_read else tmp_path)]
        if can_read:
            assert sources.notice() == ""
        else:
            assert sources.notice().startswith("files of other kinds are left out: .heic (1); HEIC needs the package ")


def test_files_are_read_a_few_at_a_time(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 photos do not fit into memory; chunks must not change names, order or answers."""
    sources = list_sources([str(write_files(tmp_path))]).names
    whole = list(answer_files(recognizer, sources))
    monkeypatch.setattr("latexify.serve.files.CHUNK_SIZES", (1, 2))
    parts = list(answer_files(recognizer, sources))
    assert [part.name for part in parts] == sources
    for part, entire in zip(parts, whole, strict=True):
        assert type(part) is type(entire)
        if isinstance(part, FileAnswer) and isinstance(entire, FileAnswer):
            assert part.recognition.latex == entire.recognition.latex


def test_what_is_not_a_file_is_a_line(recognizer: Recognizer, tmp_path: Path) -> None:
    """Missing files and folders without pictures."""
    sources = list_sources([str(tmp_path), str(tmp_path / "gone.inkml")]).names
    failures = [answer for answer in answer_files(recognizer, sources) if isinstance(answer, FileFailure)]
    assert [failure.reason for failure in failures] == [
        "the folder holds neither inks nor images",
        "it cannot be read (No such file or directory)",
    ]
    assert sources[1] == str(tmp_path / "gone.inkml")


@pytest.mark.parametrize("num_beams", [1, 3])
def test_pictures_without_a_formula_are_named(tmp_path: Path, recognizer: Recognizer, num_beams: int) -> None:
    """A page of print gave a line of nonsense, as if it were an answer."""
    for name, draw in NO_FORMULAS.items():
        draw().save(tmp_path / f"{name}.png")
    files = sorted(map(str, tmp_path.iterdir()))
    answers = list(answer_files(recognizer, files, num_beams=num_beams))
    assert len(answers) == len(NO_FORMULAS) > 12
    for answer in answers:
        assert isinstance(answer, FileAnswer)
        assert answer.is_doubtful, (answer.name, answer.recognition.confidence)
