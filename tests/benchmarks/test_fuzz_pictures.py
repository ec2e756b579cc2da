"""The short version of `make fuzz-pictures`: every damaged picture is read, or refused in one line."""

import os
import resource
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmarks.destroy import pictures
from benchmarks.destroy.checks import Checked
from benchmarks.destroy.picture_damage import SHARES, counts, mutant
from benchmarks.destroy.picture_files import CONTENTS, encoded, formula, sound_pictures
from benchmarks.destroy.picture_log import PictureLog
from benchmarks.destroy.pictures import MAX_PICTURE_S, READ, check_picture
from benchmarks.destroy.watch import run_watched
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
    out = tmp_path / "file"
    monkeypatch.setattr("sys.argv", ["pictures", "--kind", "truncated", "--number", "7", "--write", str(out)])
    assert pictures.main() == 0
    assert out.read_bytes() == mutant("truncated", 7, seed=1, sound=sound)


@pytest.fixture
def max_mib(monkeypatch: pytest.MonkeyPatch) -> float:
    """The limit for a process that is forked from the one of the tests, whose memory counts for it too."""
    num_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    limit = num_pages * resource.getpagesize() / 2**20 + 700
    monkeypatch.setattr(pictures, "MAX_MIB", limit)
    return limit


def run(log: PictureLog, count: int) -> None:
    """Read `count` truncated files in another process."""
    work = partial(pictures.read_pictures, seed=1, sound=sound_pictures(), read_every=2)
    run_watched(log.missing([("truncated", range(count))]), work, jobs=1, record=log.record)


@pytest.mark.usefixtures("max_mib")
def test_a_run_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer
) -> None:
    """Hours of reading must not be lost with the machine."""
    monkeypatch.setattr(pictures, "Recognizer", lambda **_: recognizer)
    path = tmp_path / "log.jsonl"
    run(PictureLog(path, seed=1), 2)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"kind": "trunc')
    log = PictureLog(path, seed=1)
    assert list(log.missing([("truncated", range(5)), ("bombs", range(2))])) == [
        ("truncated", range(2, 5)),
        ("bombs", range(2)),
    ]
    run(log, 4)
    [tally] = PictureLog(path, seed=1).tallies({"truncated": 4}).values()
    assert tally.outcomes.total() == 4
    assert not tally.problems
    with pytest.raises(LatexifyError, match="was begun with"):
        PictureLog(path, seed=2)


def test_memory_is_that_of_reading_and_a_dead_process_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer, max_mib: float
) -> None:
    """Making a bomb takes more memory than reading it may take."""

    def make(_kind: str, _number: int, *, sound: list[bytes], **_more: object) -> bytes:
        pixels = np.ones(2**30, np.uint8)  # 1 GiB
        return sound[int(pixels[0])]

    def check(recognizer: Recognizer, data: bytes, *, is_read: bool) -> Checked:
        if data == sound_pictures()[1] and is_read:
            os._exit(9)
        return check_picture(recognizer, data, is_read=False)

    monkeypatch.setattr(pictures, "Recognizer", lambda **_: recognizer)
    monkeypatch.setattr(pictures, "mutant", make)
    monkeypatch.setattr(pictures, "check_picture", check)
    log = PictureLog(tmp_path / "log.jsonl", seed=1)
    run(log, 2)  # the first is also read by the model
    [tally] = log.tallies({"truncated": 2}).values()
    assert tally.outcomes == {"crash": 1, READ: 1}
    assert tally.problems == ["0: crash, exit code 9"]
    assert 50 < tally.peak_mib < max_mib
