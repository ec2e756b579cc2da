"""The model that is used where none is named."""

from pathlib import Path

import pytest

from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model


def make_model(folder: Path) -> Path:
    """A folder that counts as a model."""
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    return folder


def test_the_model_trained_here_goes_before_the_installed_one(tmp_path: Path) -> None:
    """Who trains on their own inks and then tries them must not judge the installed model by mistake."""
    here, installed = tmp_path / "data" / "model", tmp_path / "models"
    with pytest.raises(LatexifyError, match="name one with --model, or run `latexify train`"):
        default_model(trained_here=here, installed=installed)
    shipped = make_model(installed / "one")
    assert default_model(trained_here=here, installed=installed) == shipped
    here.mkdir(parents=True)
    assert default_model(trained_here=here, installed=installed) == shipped  # a training that has not ended
    here.rmdir()
    make_model(here)
    assert default_model(trained_here=here, installed=installed) == here
    assert default_model(installed=installed) == shipped


def test_of_several_installed_models_none_is_guessed(tmp_path: Path) -> None:
    """Any choice could be the wrong one."""
    installed = tmp_path / "models"
    for name in ("one", "two"):
        make_model(installed / name)
    with pytest.raises(LatexifyError, match="choose one with --model"):
        default_model(installed=installed)
