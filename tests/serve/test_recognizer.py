"""`latexify recognize`: an answer for every ink and picture that can be read, and an error line for the others."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.common.errors import LatexifyError
from latexify.serve import recognizer as recognizer_module
from latexify.serve.files import FileAnswer, FileFailure, answer_files, list_sources
from latexify.serve.formats.formats import Format
from latexify.serve.recognizer import Recognition, Recognizer, default_model, looks_like_markup
from tests.support.handwriting import encoded, ink, inkml, strokes
from tests.support.reading_models import export_folder, make_loaded
from tests.support.repository import REPOSITORY

EMPTY_INK = b'<ink xmlns="http://www.w3.org/2003/InkML"><trace></trace></ink>'


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, which gives varied answers."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    """The model, loaded."""
    torch.set_num_threads(1)
    return Recognizer(model, device="cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad files, as their names say."""
    folder = tmp_path_factory.mktemp("files")
    contents = {
        "a-good.inkml": inkml(),
        "b-bad-empty.inkml": b"",
        "c-bad-no-strokes.inkml": EMPTY_INK,
        "d-good.png": encoded(255 - 255 * ink()),
        "e-bad-blank.png": encoded(np.full((80, 90), 255.0)),
        "f-bad-cut.png": encoded(255 - 255 * ink())[:600],
        "g-bad-text.jpg": b"not an image at all",
        "h-good.jpg": encoded(200 * ink() + 20, "JPEG"),
        "i-bad-svg.inkml": b"<svg></svg>",
        "sub/j-good.INKML": inkml().replace(b'"http', b'"https', 1),
        "notes.txt": b"to be left alone",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def recognize(*arguments: str | int | Path, folder: Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run the command."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
        "CUDA_VISIBLE_DEVICES": "",
    }
    command = [sys.executable, "-m", "latexify", "recognize", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, input=data, capture_output=True, check=False, env=environment)


def test_good_files_are_answered_in_order_and_bad_ones_named(model: Path, files: Path, tmp_path: Path) -> None:
    """One broken photo among a hundred must not stop the others, nor go unnoticed."""
    done = recognize(
        "--model", model, "--json", "--beams", 3, "--image-out", tmp_path / "seen", files, "gone.png", folder=files
    )
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.decode().splitlines()]
    good = sorted(path for path in files.rglob("*good*"))
    assert [line["file"] for line in lines] == [str(path) for path in good]
    for line in lines:
        assert list(line) == ["file", "latex", "confidence", "calibrated", "alternatives", "seconds"]
        assert 0 <= line["confidence"] <= 1
        assert line["calibrated"] is False
        assert line["seconds"] > 0
        assert all(other.keys() == {"latex", "confidence"} for other in line["alternatives"])
        assert len({line["latex"], *(other["latex"] for other in line["alternatives"])}) == 1 + len(
            line["alternatives"]
        )
    complaints = done.stderr.decode().splitlines()
    bad = [*sorted(map(str, files.rglob("*bad*"))), "gone.png"]
    assert [complaint.split(": ")[1] for complaint in complaints] == bad
    assert len(list((tmp_path / "seen").glob("*.png"))) == len(good)


def test_one_file_is_one_line_of_latex(model: Path, files: Path) -> None:
    """So that it can be piped into a clipboard."""
    single = recognize("--model", model, files / "a-good.inkml", folder=files)
    assert (single.returncode, single.stderr) == (0, b"")
    assert single.stdout.count(b"\n") == 1
    assert b"\t" not in single.stdout
    piped = recognize("--model", model, "-", folder=files, data=inkml())
    assert piped.stdout == single.stdout
    both = recognize("--model", model, files / "a-good.inkml", "-", folder=files, data=inkml())
    assert both.stdout == f"{files / 'a-good.inkml'}\t".encode() + single.stdout + b"-\t" + single.stdout


@pytest.mark.parametrize("target", ["pretty", "display", "mathml", "typst"])
def test_answers_come_in_the_format_wanted(model: Path, files: Path, recognizer: Recognizer, target: Format) -> None:
    """For a document of another kind than LaTeX; with --json it is beside the LaTeX that is scored."""
    file = files / "a-good.inkml"
    [answer] = recognizer.read([recognizer.picture_of(file.read_bytes())])
    expected = answer.to_format(target)
    done = recognize("--model", model, "--format", target, file, folder=files)
    assert (done.stdout.decode(), done.stderr, done.returncode) == (expected + "\n", b"", 0)
    line = json.loads(recognize("--model", model, "--format", target, "--json", file, folder=files).stdout)
    assert (line["latex"], line["formats"]) == (answer.latex, {target: expected})


def test_an_answer_that_a_format_cannot_express_is_named(
    model: Path, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Like a file that cannot be read: one line, and exit code 1."""
    odd = Recognition(latex=r"\foo{a}", confidence=1, elapsed_s=0)
    monkeypatch.setattr(Recognizer, "read", lambda _, pictures, **__: [odd for _ in pictures])
    arguments = ["recognize", "--model", str(model), str(files / "a-good.inkml"), "--format", "typst"]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert r"\foo" in done.stderr


def test_without_a_model_one_line_says_what_to_do(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first command that a newcomer tries."""
    monkeypatch.setattr(recognizer_module, "SHIPPED", tmp_path / "models")
    with pytest.raises(LatexifyError, match="name one with --model, or run `latexify train`"):
        default_model(trained_here=tmp_path / "data" / "model")
    done = recognize("--model", tmp_path, files / "a-good.inkml", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"latexify train" in done.stderr


def test_the_model_that_comes_along_is_taken_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README promises this for a fresh clone."""
    monkeypatch.setattr(recognizer_module, "SHIPPED", tmp_path / "models")
    here = tmp_path / "data" / "model"
    for folder in (here, tmp_path / "models" / "one", tmp_path / "models" / "two"):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        expected = here if folder == here else folder
        if folder.name != "two":
            assert default_model(trained_here=here) == expected
    with pytest.raises(LatexifyError, match="choose one with --model"):
        default_model(trained_here=here)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_other_pictures_change_no_answer(recognizer: Recognizer, num_beams: int) -> None:
    """Each formula of a page gets the answer that it gets alone, every time."""
    generator = np.random.default_rng(2)
    pictures = [recognizer.draw([generator.random((8, 2)), generator.random((5, 2)) + 1]) for _ in range(20)]
    alone = [recognizer.read([picture], num_beams=num_beams)[0] for picture in pictures]
    for _ in range(2):
        together = recognizer.read(pictures, num_beams=num_beams)
        assert [answer.latex for answer in together] == [answer.latex for answer in alone]
        assert [answer.confidence for answer in together] == pytest.approx(
            [answer.confidence for answer in alone], abs=1e-4
        )
        assert [len(answer.alternatives) for answer in together] == [len(answer.alternatives) for answer in alone]
    assert recognizer.read([]) == []


def test_strokes_and_their_file_are_the_same_ink(recognizer: Recognizer) -> None:
    """From Python or from a file: the model sees the same."""
    assert np.array_equal(recognizer.draw(strokes()), recognizer.picture_of(inkml()))
    assert np.array_equal(recognizer.draw([stroke.tolist() for stroke in strokes()]), recognizer.draw(strokes()))
    nothings: list[Any] = [[], [[]]]
    for nothing in nothings:
        with pytest.raises(LatexifyError, match="nothing to draw"):
            recognizer.draw(nothing)
    wrongs: list[Any] = [[[1, 2, 3]], [[[1, 2, 3]]], [[[1, "x"]]], [[[1, 2], [3]]], [[{}]]]
    for wrong in wrongs:
        with pytest.raises(LatexifyError, match="stroke 0"):
            recognizer.draw(wrong)
    with pytest.raises(LatexifyError, match="finite"):
        recognizer.draw([np.array([[0, np.nan]])])


def test_an_unfinished_answer_has_confidence_0(recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models are most confident in loops."""
    monkeypatch.setattr(recognizer_module, "MAX_TOKENS", 1)
    answer = recognizer.read([recognizer.draw(strokes())])[0]
    assert answer.confidence == 0 or answer.latex == ""


def test_files_are_read_a_few_at_a_time(recognizer: Recognizer, files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100,000 photos do not fit into memory; chunks must not change names, order or answers."""
    sources = list(list_sources([str(files)]))
    whole = list(answer_files(recognizer, sources))
    monkeypatch.setattr("latexify.serve.files.CHUNK_SIZE", 2)
    parts = list(answer_files(recognizer, sources))
    assert [part.name for part in parts] == sources
    for part, entire in zip(parts, whole, strict=True):
        assert type(part) is type(entire)
        if isinstance(part, FileAnswer) and isinstance(entire, FileAnswer):
            assert part.recognition.latex == entire.recognition.latex


def test_what_is_not_a_file_is_a_line(recognizer: Recognizer, tmp_path: Path) -> None:
    """Missing files and folders without pictures."""
    sources = list(list_sources([str(tmp_path), str(tmp_path / "gone.inkml")]))
    failures = [answer for answer in answer_files(recognizer, sources) if isinstance(answer, FileFailure)]
    assert [failure.reason for failure in failures] == [
        "the folder holds neither InkML nor images",
        "it cannot be read (No such file or directory)",
    ]
    assert sources[1] == str(tmp_path / "gone.inkml")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", True),
        (b"\xef\xbb\xbf <?xml", True),
        ("<ink/>".encode("utf-16"), True),
        (b"\x89PNG", False),
        (b"GIF8", False),
    ],
)
def test_inks_are_distinguished_from_images_by_content(data: bytes, expected: bool) -> None:  # noqa: FBT001  # a table
    """Names may be wrong, and standard input has none."""
    assert looks_like_markup(data) is expected
