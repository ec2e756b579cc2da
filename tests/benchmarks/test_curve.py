"""`python -m benchmarks.studies.curve`: is it the training that was recorded?"""

from pathlib import Path

import pytest

from benchmarks.studies.curve import main
from latexify.common.errors import LatexifyError

RECORDED = "step,train_loss,valid_loss\n50,4.0,\n100,3.0,2.5\n150,2.0,\n"


def write(path: Path, text: str) -> Path:
    """A history."""
    path.write_text(text)
    return path


def test_a_beginning_that_agrees_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounding must not look like another training; steps that only one has do not count."""
    again = write(tmp_path / "again.csv", "step,train_loss,valid_loss\n50,4.02,\n100,3.0,2.51\n120,9,9\n")
    main(write(tmp_path / "recorded.csv", RECORDED), again, tolerance=0.02)
    assert "2 rows of steps 50 to 100, largest difference 0.50%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step,train_loss,valid_loss\n50,4.02,\n100,3.2,2.5\n", r"differ by up to 6\.67%"),
        ("step,train_loss,valid_loss\n60,4.0,\n", "no step in common"),
        ("loss\n60\n", r"again\.csv is no history of a training"),
    ],
)
def test_another_training_is_told(tmp_path: Path, text: str, message: str) -> None:
    """A recipe that no longer gives what was recorded must not pass."""
    with pytest.raises(LatexifyError, match=message):
        main(write(tmp_path / "recorded.csv", RECORDED), write(tmp_path / "again.csv", text), tolerance=0.02)


def test_no_file_is_said(tmp_path: Path) -> None:
    """A typing mistake in a path."""
    with pytest.raises(LatexifyError, match=r"nowhere\.csv is no history"):
        main(tmp_path / "nowhere.csv", tmp_path / "nowhere.csv", tolerance=0.02)
