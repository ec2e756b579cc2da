"""The short version of `make fuzz-pictures`: every damaged picture is read, or refused in one line."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from benchmarks.destroy.picture_damage import SHARES, counts, mutant
from benchmarks.destroy.picture_files import CONTENTS, encoded, formula, sound_pictures
from benchmarks.destroy.pictures import MAX_PICTURE_S, READ, check_picture
from latexify.common.errors import LatexifyError
from latexify.pipeline.image.decode import decode_image
from latexify.serve.recognizer import Recognizer
from tests.support.reading_models import export_folder, make_loaded

NUM_FILES = 12  # of each kind
HEAVY = {"bombs", "many scans", "full of ink"}


@pytest.fixture(scope="module")
def sound() -> list[bytes]:
    """The files that are damaged."""
    return sound_pictures()


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    """A model with random weights."""
    scratch = tmp_path_factory.mktemp("model")
    return Recognizer(export_folder(make_loaded("hybrid", scratch), scratch / "out"), device="cpu")


def test_sound_pictures_are_read(sound: list[bytes], recognizer: Recognizer) -> None:
    """Were they refused, nothing that is made of them could show a fault."""
    assert len(sound) > 40
    for data in sound:
        checked = check_picture(recognizer, data, is_read=False)
        assert (checked.outcome, list(checked.problems)) == (READ, [])


@pytest.mark.parametrize("kind", sorted(SHARES))
def test_every_damaged_picture_is_read_or_refused(kind: str, sound: list[bytes], recognizer: Recognizer) -> None:
    """One photo that crashes the program stops a folder of a thousand."""
    outcomes: Counter[str] = Counter()
    for number in range(2 if kind in HEAVY else NUM_FILES):
        checked = check_picture(recognizer, mutant(kind, number, seed=3, sound=sound), is_read=number == 0)
        outcomes[checked.outcome] += 1
        assert not checked.problems, number
        assert checked.read_s < MAX_PICTURE_S, number
    assert not outcomes["other"]


def test_a_fault_is_found(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness that takes anything would call any run a success."""
    data = encoded(formula(), "PNG")

    def refuse(_: bytes) -> None:
        raise LatexifyError("two\nlines")

    monkeypatch.setattr(recognizer, "picture_of", refuse)
    assert check_picture(recognizer, data, is_read=False).problems
    monkeypatch.setattr(recognizer, "picture_of", lambda _: np.full((64, 256), 255, np.uint8))
    assert check_picture(recognizer, data, is_read=False).problems


def test_the_same_number_gives_the_same_file(sound: list[bytes]) -> None:
    """A fault is found again by its kind and number."""
    for kind in sorted(set(SHARES) - HEAVY):
        assert mutant(kind, 5, seed=1, sound=sound) == mutant(kind, 5, seed=1, sound=sound)
        assert mutant(kind, 5, seed=1, sound=sound) != mutant(kind, 6, seed=1, sound=sound)
    assert sum(counts(20_000).values()) == 20_000
    assert set(CONTENTS) > {"noise", "mesh"}


@pytest.mark.parametrize("part", [b"\x00\x00\x00\x1cftypavif"])
def test_what_pillow_raises_besides_oserror_is_an_error_line(part: bytes, sound: list[bytes]) -> None:
    """A damaged AVIF gave a traceback: its plug-in raises RuntimeError."""
    [data] = [each for each in sound if each[4:12] == part[4:]]
    for place in range(len(data) - 400, len(data), 20):
        damaged = data[:place] + bytes(40) + data[place + 40 :]
        try:
            decode_image(damaged)
        except LatexifyError as error:
            assert "damaged" in str(error)  # noqa: PT017  # most of them can be decoded


def test_the_command_writes_a_file_of_a_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sound: list[bytes]
) -> None:
    """To look at what failed."""
    from benchmarks.destroy import pictures

    out = tmp_path / "file"
    monkeypatch.setattr("sys.argv", ["pictures", "--kind", "truncated", "--number", "7", "--write", str(out)])
    assert pictures.main() == 0
    assert out.read_bytes() == mutant("truncated", 7, seed=1, sound=sound)
