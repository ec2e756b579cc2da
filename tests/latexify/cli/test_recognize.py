"""`latexify recognize`: an answer for every ink and picture that can be read, and an error line for the others."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.eval.compare.files import score_files
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.edits import count_edits
from latexify.serve.formats.formats import Format
from latexify.serve.recognizer import Recognition, Recognizer
from tests.support.files_to_read import write_files
from tests.support.handwriting import encoded, ink, inkml
from tests.support.reading_models import export_folder, make_loaded
from tests.support.repository import REPOSITORY


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights, which gives varied answers."""
    scratch = tmp_path_factory.mktemp("model")
    return export_folder(make_loaded("hybrid", scratch), scratch / "out")


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    """The model, loaded."""
    return Recognizer(model, device="cpu", num_threads=1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad files, as their names say."""
    return write_files(tmp_path_factory.mktemp("files"))


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
    others, *complaints = done.stderr.decode().splitlines()
    assert others == "latexify: files of other kinds are left out: .txt (1)"
    bad = [*sorted(map(str, files.rglob("*bad*"))), "gone.png"]
    assert [complaint.split(": ")[1] for complaint in complaints] == bad
    assert len(list((tmp_path / "seen").glob("*.png"))) == len(good)


def test_labels_of_inks_are_in_the_json_and_score_reads_them(model: Path, tmp_path: Path) -> None:
    """The only way to score a copied model on other inks was a program of one's own that joined both."""
    for number, label in enumerate(("x", "$y^2$", "x+y")):
        annotation = f'<annotation type="truth">{label}</annotation>'.encode()
        (tmp_path / f"{number}.inkml").write_bytes(inkml().replace(b"<trace>", annotation + b"<trace>", 1))
    done = recognize("--model", model, "--json", tmp_path, folder=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["reference"] for line in lines] == ["x", "$y^2$", "x+y"]
    (tmp_path / "x.jsonl").write_bytes(done.stdout)
    scored = score_files(ScoreParams(bootstrap_samples=100), files=[tmp_path / "x.jsonl"], seed=1)
    assert scored["num_samples"] == 3
    expected = count_edits(["x", "y^{2}", "x+y"], [line["latex"] for line in lines])
    assert scored["char_errors"] == expected.totals()["char_errors"]


def test_files_of_a_folder_that_are_left_out_are_counted(model: Path, tmp_path: Path) -> None:
    """Half of the photos of a phone were left out without a word; what macOS adds is no error."""
    for name in ("a.inkml", "b.xml", "__MACOSX/c.inkml", ".d.inkml"):
        (tmp_path / "notes" / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / "notes" / name).write_bytes(inkml())
    (tmp_path / "notes" / "e.JFIF").write_bytes(encoded(255 - 255 * ink(), "JPEG"))
    for name in ("h.pdf", "README", "package.json", "other.xml"):
        (tmp_path / "notes" / name).write_bytes(b"{}")
    done = recognize("--model", model, "notes", folder=tmp_path)
    assert done.returncode == 0
    assert [line.split("\t")[0] for line in done.stdout.decode().splitlines()] == [
        "notes/a.inkml",
        "notes/b.xml",
        "notes/e.JFIF",
    ]
    expected = "files of other kinds are left out: .json (1), .pdf (1), .xml (1), README (1)"
    assert done.stderr.decode() == f"latexify: {expected}\n"


def test_an_empty_name_is_refused(tmp_path: Path) -> None:
    """An unset variable would recognise the whole current folder."""
    done = recognize("", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"latexify: a file name is empty: is a variable unset?")
    assert done.stderr.count(b"\n") == 1


def test_elements_that_are_no_strokes_are_named(model: Path, tmp_path: Path) -> None:
    """The text beside an ink is not read, but the user sees it in the same picture."""
    content = {
        "type": "excalidraw",
        "elements": [{"type": "freedraw", "x": 0, "y": 0, "points": [[0, 0], [9, 9]]}, {"type": "text"}],
    }
    (tmp_path / "a.excalidraw").write_text(json.dumps(content), encoding="utf-8")
    done = recognize("--model", model, "a.excalidraw", folder=tmp_path)
    assert done.returncode == 0
    assert done.stderr == b"latexify: a.excalidraw: left out, because they are no strokes: 1 text\n"


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


def test_the_symbols_can_be_limited(model: Path, files: Path) -> None:
    """A symbol that the model does not know ends the command in one line, before any answer."""
    done = recognize("--model", model, "--only", "x 2", files / "a-good.inkml", folder=files)
    assert done.returncode == 0
    assert set(done.stdout.decode().strip()) <= set("x2")
    wrong = recognize("--model", model, "--only", "x \\fracc", files / "a-good.inkml", folder=files)
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    assert wrong.stderr.decode() == "latexify: the model cannot write \\fracc (nearest: \\frac)\n"


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


def test_without_a_model_one_line_says_what_to_do(files: Path, tmp_path: Path) -> None:
    """The first command that a newcomer tries."""
    done = recognize("--model", tmp_path, files / "a-good.inkml", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"latexify train" in done.stderr


@pytest.mark.parametrize(("offset", "is_doubtful"), [(-8.0, True), (8.0, False)])
def test_a_picture_without_a_formula_is_named(
    model: Path,
    tmp_path: Path,
    offset: float,
    is_doubtful: bool,  # noqa: FBT001  # a table
) -> None:
    """A page of print gave a line of nonsense, as if it were an answer."""
    folder = shutil.copytree(model, tmp_path / "model")
    fingerprint = Recognizer(model, device="cpu")._trained.manifest.fingerprint
    facts = {"slope": 0.0, "offset": offset, "model": fingerprint, "num_samples": 9, "num_right": 5}
    (folder / "calibration.json").write_text(json.dumps({**facts, "normalizer_version": 1}), encoding="utf-8")
    (tmp_path / "page.png").write_bytes(encoded(255 - 255 * ink()))
    done = recognize("--model", folder, "--json", "page.png", folder=tmp_path)
    assert done.returncode == 0
    confidence = json.loads(done.stdout)["confidence"]
    line = b"latexify: page.png: probably wrong (confidence 0 %): not a formula, or not cropped to one?\n"
    assert done.stderr == (line if is_doubtful or confidence == 0 else b"")
