"""What newcomers type wrong: each mistake is answered with what, where and how to mend it, never with a traceback."""

import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from latexify.cli import app
from latexify.common.package_data import default_model

INK = '<ink xmlns="http://www.w3.org/2003/InkML"><trace>10 10, 50 50</trace><trace>50 10, 10 50</trace></ink>'

# arguments (`{model}` is the shipped one), the exit code, and what the answer says
MISTAKES = [
    ("", 2, "Usage: latexify"),
    ("recognise photo.png", 2, "Did you mean 'recognize'"),
    ("photo.png", 2, "run `latexify recognize photo.png`"),
    ("recognize", 2, "Missing argument 'paths'"),
    ("recognize ''", 1, "a file name is empty: is a variable unset?"),
    ("recognize nosuch.png", 1, r"nosuch.png: it cannot be read \(No such file"),
    ("recognize https://example.org/a.png", 1, "addresses are not fetched: download the file"),
    ("recognize page.pdf", 1, "PDF files are not read: save the page"),
    ("recognize notes.txt", 1, "notes.txt: this is not an image that Pillow can read, and no ink"),
    ("recognize broken.png", 1, "broken.png: the image is damaged"),
    ("recognize blank.png", 1, "blank.png: the image is blank"),
    ("recognize empty.inkml", 1, "empty.inkml: the ink cannot be read"),
    ("recognize cut.inkml", 1, "cut.inkml: the ink cannot be read"),
    ("recognize nothing", 1, "nothing: the folder holds neither inks nor images"),
    ("recognize texts", 1, r"files of other kinds are left out: .txt \(1\)"),
    ("recognize photo.png --image-out notes.txt", 1, "--image-out: notes.txt cannot be made a folder"),
    ("recognize photo.png --image-out /dev/null/x", 1, "--image-out: /dev/null/x cannot be made a folder"),
    ("recognize photo.png --beams 0", 2, "greater than or equal to 1"),
    ("recognize photo.png --beams many", 2, "valid integer"),
    ("recognize photo.png --drawings 0", 2, "greater than or equal to 1"),
    ("recognize photo.png --format xml", 2, "'xml' is not one of 'latex'"),
    ("recognize photo.png --device cuda:77", 1, "device 'cuda:77' cannot be used .* try --device cpu"),
    ("recognize photo.png --modell {model}", 2, "No such option: --modell"),
    ("recognize photo.png --model nosuch", 1, "there is no folder nosuch: --model takes a model folder"),
    ("recognize photo.png --model notes.txt", 1, "notes.txt is a file: --model takes the folder"),
    ("recognize photo.png --model nothing", 1, "nothing is missing or incomplete .*: run `latexify train` first"),
    ("recognize photo.png --model no-tokens --runtime onnx", 1, "no-tokens is not a complete model"),
    ("recognize photo.png --model no-tokens --runtime torch", 1, "no-tokens is not a complete model"),
    ("recognize photo.png --model no-canvas --runtime onnx", 1, r"no-canvas is not a complete model \(latexify.json"),
    ("recognize photo.png --model no-canvas --runtime torch", 1, r"no-canvas is not a complete model \(latexify.json"),
    (
        "recognize photo.png --model cut-weights",
        1,
        "cut-weights is not a complete model .*has 1,000 bytes, not ",
    ),
    ("recognize photo.png --model pickled", 1, "weights of .* `pickled` cannot be loaded .*: correct the folder"),
    ("inspect", 2, "Missing argument 'paths'"),
    ("inspect nosuch", 1, "nosuch does not exist: .* or name another path"),
    ("inspect photo.png", 1, "name an ink, a folder or an archive .*`latexify recognize`"),
    ("inspect notes.txt", 1, "name an ink, a folder or an archive"),
    ("inspect nothing", 1, "nothing holds no InkML .*: name another path"),
    ("verify nosuch", 1, "nosuch is missing or incomplete .*: run `latexify rasterize` first"),
    ("train", 1, "params.yaml not found: run latexify in the project's folder"),
    ("ingest", 1, "params.yaml not found: run latexify in the project's folder"),
    ("predict --beams 3", 2, "No such option: --beams"),
    ("score nosuch.csv", 1, "nosuch.csv not found"),
    ("score table.csv", 1, "table.csv has no column 'reference'; it has: a, b"),
    ("evaluate nosuch", 1, "nosuch does not exist: name files, folders or archives"),
    ("evaluate photo.png", 1, "name an ink, a folder or an archive"),
    ("evaluate nothing", 1, "no inks to evaluate in nothing: name other paths"),
    ("evaluate ink.inkml --model nosuch", 1, "there is no folder nosuch"),
    ("--params nosuch.yaml params", 1, "nosuch.yaml not found: .* --params"),
    ("--params bad.yaml params", 1, "bad.yaml is not valid YAML: .*line"),
    ("--params typo.yaml params", 1, "train.learnin_rate: unknown parameter, did you mean `learning_rate`?"),
    ("params nosuch", 2, "unexpected extra argument"),
    ("recipe nosuch", 1, "no recipe 'nosuch': choose from crohme-scratch, "),
    ("export-onnx --model nosuch --out graphs", 1, "there is no folder nosuch"),
    ("publish", 2, "Missing argument 'repo'"),
    ("publish someone/model --model nosuch", 1, "there is no folder nosuch"),
    ("serve --model nosuch", 1, "there is no folder nosuch"),
    ("serve --port 99999", 2, "less than or equal to 65535"),
    (
        "serve --host nosuch.invalid --port 0 --model {model}",
        1,
        "cannot listen on nosuch.invalid.*: choose another --host",
    ),
    ("demo --model nosuch", 1, "there is no folder nosuch"),
    ("watch nosuch", 1, "nosuch is no folder: make it first, or name another"),
    ("watch photo.png", 1, "photo.png is no folder"),
    ("clip", 1, "there is no clipboard here .* save the picture"),
    ("compose out.tar", 1, "params.yaml not found"),
    ("runs remove nosuch", 1, "no run in runs has a name that begins with nosuch: `latexify runs list`"),
    ("calibrate --model nosuch", 1, "run `latexify rasterize` first"),
]


@pytest.fixture(scope="module")
def shipped_model() -> Path:
    """The model that comes with the project."""
    return default_model()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, shipped_model: Path) -> Path:
    """A folder with what a newcomer may have lying about."""
    folder = tmp_path_factory.mktemp("scene")
    picture = Image.new("L", (200, 100), "white")
    ImageDraw.Draw(picture).line((20, 20, 80, 80), fill=0, width=3)
    picture.save(folder / "photo.png")
    Image.new("L", (100, 60), "white").save(folder / "blank.png")
    (folder / "broken.png").write_bytes((folder / "photo.png").read_bytes()[:60])
    for name, text in {
        "ink.inkml": INK,
        "cut.inkml": INK[:70],
        "empty.inkml": "",
        "notes.txt": "hello",
        "page.pdf": "%PDF-1.4\n",
        "table.csv": "a,b\n1,2\n",
        "bad.yaml": "train: [1,\n",
        "typo.yaml": "train: {learnin_rate: 1e-3}\n",
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "nothing").mkdir()
    (folder / "texts").mkdir()
    (folder / "texts/a.txt").write_text("x", encoding="utf-8")
    damages: dict[str, Callable[[Path], object]] = {
        "no-tokens": lambda model: (model / "tokenizer.json").write_text("{}", encoding="utf-8"),
        "no-canvas": lambda model: (model / "latexify.json").write_text('{"height_px": -5}', encoding="utf-8"),
        "cut-weights": lambda model: [path.write_bytes(path.read_bytes()[:1000]) for path in _weights(model)],
    }
    for name, damage in damages.items():
        shutil.copytree(shipped_model, folder / name)
        damage(folder / name)
    (folder / "pickled").mkdir()
    shutil.copy(shipped_model / "config.json", folder / "pickled")
    (folder / "pickled/pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    return folder


def _weights(model: Path) -> list[Path]:
    return [*model.glob("*.safetensors"), *model.glob("*.onnx")]


@pytest.mark.parametrize(("arguments", "code", "expected"), MISTAKES, ids=[mistake[0] for mistake in MISTAKES])
def test_a_mistake_is_answered(  # noqa: PLR0913, PLR0917  # pytest's fixtures
    arguments: str,
    code: int,
    expected: str,
    scene: Path,
    shipped_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the exit code of a wrong command line (2) or of what cannot be done (1)."""
    monkeypatch.chdir(scene)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    words = ["" if word == "''" else word.format(model=shipped_model) for word in arguments.split()]
    monkeypatch.setattr("sys.argv", ["latexify", *words])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    captured = capsys.readouterr()
    # the boxes of usage errors break lines
    answer = re.sub(r"\s*│\n│\s*|\n\s*", " ", captured.out + captured.err)
    assert stopped.value.code == code, answer
    assert re.search(expected, answer), answer
    assert "Traceback" not in answer


def test_a_folder_shows_its_progress(
    scene: Path, shipped_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first answers do not wait for the rest, and stderr counts the files where stdout is no terminal."""
    names = ["ink.inkml"] * 25
    monkeypatch.chdir(scene)
    monkeypatch.setattr("sys.argv", ["latexify", "recognize", "--json", "--model", str(shipped_model), *names])
    with pytest.raises(SystemExit, match="0"):
        app.main()
    captured = capsys.readouterr()
    answers = [json.loads(line) for line in captured.out.splitlines()]
    assert [answer["file"] for answer in answers] == names
    assert len({answer["latex"] for answer in answers}) == 1
    assert re.search(r"recognize: 25/25 files in \d+ s", captured.err)


def test_few_files_are_not_counted(
    scene: Path, shipped_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a script, stderr is for what is wrong."""
    monkeypatch.chdir(scene)
    monkeypatch.setattr("sys.argv", ["latexify", "recognize", "--model", str(shipped_model), "ink.inkml", "ink.inkml"])
    with pytest.raises(SystemExit, match="0"):
        app.main()
    assert " files in " not in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands(
    shell: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`latexify --install-completion` installs what this asks for."""
    monkeypatch.setattr("sys.argv", ["latexify"])
    monkeypatch.setenv("_LATEXIFY_COMPLETE", f"complete_{shell}")
    for name, value in {
        "COMP_WORDS": "latexify rec",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "latexify rec",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        app.main()
    offered = capsys.readouterr().out
    assert "recognize" in offered
    assert "serve" not in offered
