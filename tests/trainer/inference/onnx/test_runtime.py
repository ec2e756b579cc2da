"""onnxruntime without torch: the same answers, one line for damaged files, and only the threads it may use."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.serve.recognizer import Recognizer
from latexify.trainer.inference.onnx.runtime import OnnxDecoder
from latexify.trainer.inference.open import open_model
from tests.support.handwriting import inkml

WITHOUT_TORCH = """
import json, sys
from importlib.abc import MetaPathFinder
from pathlib import Path

class Block(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in {"torch", "transformers"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Block())
from latexify.serve.recognizer import Recognizer
recognizer = Recognizer(Path(sys.argv[1]), num_threads=1)
picture = recognizer.picture_of(Path(sys.argv[2]).read_bytes())
results = [recognizer.read([picture], num_beams=beams)[0].to_answer(is_calibrated=False) for beams in (1, 3)]
print(json.dumps([recognizer.runtime, *results]))
"""


def test_an_ink_is_recognised_without_torch(model: Path, exported: Path, tmp_path: Path, repository: Path) -> None:
    """A machine that only recognises needs neither torch nor transformers, and its answers are those of torch."""
    ink = tmp_path / "a.inkml"
    ink.write_bytes(inkml())
    command = [sys.executable, "-c", WITHOUT_TORCH, str(exported), str(ink)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=repository, capture_output=True, check=False, env=environment, text=True)
    assert done.returncode == 0, done.stderr
    runtime, *results = json.loads(done.stdout)
    assert runtime == "onnx"
    recognizer = Recognizer(model, device="cpu", runtime="torch")
    picture = recognizer.picture_of(inkml())
    for beams, result in zip((1, 3), results, strict=True):
        expected = recognizer.read([picture], num_beams=beams)[0].to_answer(is_calibrated=False)
        assert result["latex"] == expected["latex"]
        assert [other["latex"] for other in result["alternatives"]] == [
            other["latex"] for other in expected["alternatives"]
        ]
        assert result["confidence"] == pytest.approx(expected["confidence"], abs=2e-4)


def cut(path: Path) -> None:
    """Leave out the end."""
    path.write_bytes(path.read_bytes()[:-100])


def spoil(path: Path) -> None:
    """Something else of the same size."""
    path.write_bytes(b"\xff" * path.stat().st_size)


@pytest.mark.parametrize("name", ["encoder.onnx", "decoder.onnx"])
@pytest.mark.parametrize("damage", [cut, spoil, Path.unlink])
def test_a_damaged_file_is_one_line(exported: Path, tmp_path: Path, name: str, damage: Callable[[Path], None]) -> None:
    """Incomplete downloads, or another file in its place."""
    folder = tmp_path / "damaged"
    shutil.copytree(exported, folder)
    damage(folder / name)
    with pytest.raises(LatexifyError, match=r"run `latexify export-onnx` again") as caught:
        open_model(folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).count("again") == 1
    assert name in str(caught.value)


def test_a_runtime_that_cannot_run_the_folder_is_one_line(model: Path, exported: Path) -> None:
    """The line says which command to run."""
    with pytest.raises(LatexifyError, match="run `latexify export-onnx --model"):
        Recognizer(model, runtime="onnx")
    with pytest.raises(LatexifyError, match="leave out --runtime torch"):
        Recognizer(exported, runtime="torch")
    with pytest.raises(LatexifyError, match="cannot compute on meta"):
        open_model(exported, device="meta")


def test_threads_are_those_that_were_asked_for(exported: Path) -> None:
    """`--threads 1` must not take all cores."""
    for count in (2, 1):
        decoder = open_model(exported, num_threads=count).inference.decoder
        assert isinstance(decoder, OnnxDecoder)
        assert decoder._session.get_session_options().intra_op_num_threads == count
