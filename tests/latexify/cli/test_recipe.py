"""Recipes: parameter files of recorded results, chosen by name."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from latexify.cli.app import app
from latexify.cli.recipe import write_recipe
from latexify.common.errors import LatexifyError
from latexify.common.package_data import RECIPES, list_recipes
from latexify.params import Params, load_params

NAMES = sorted(path.stem for path in RECIPES.glob("*.yaml"))


@pytest.fixture
def params_path(tmp_path: Path, repository: Path) -> Path:
    """A copy of the committed params.yaml."""
    return Path(shutil.copy(repository / "params.yaml", tmp_path / "params.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_takes_effect_and_leaves_nothing_of_the_last(name: str, params_path: Path) -> None:
    """A value left over from another recipe would make a third result under the name of this one."""
    for other in NAMES:
        write_recipe(other, params_path=params_path)
        write_recipe(name, params_path=params_path)
        assert load_params(params_path) == load_params(RECIPES / f"{name}.yaml")


def test_the_demo_is_what_the_repository_does_by_default(params_path: Path, repository: Path) -> None:
    """`make repro` in a clone and the recipe of that name would differ; comments must survive there and back."""
    assert load_params(RECIPES / "synthetic-demo.yaml") == load_params(repository / "params.yaml")
    assert load_params(RECIPES / "synthetic-demo.yaml") == Params()
    write_recipe("crohme-small", params_path=params_path)
    changed = params_path.read_text(encoding="utf-8")
    assert "dataset: crohme " in changed
    assert "formulas: [labels/wikipedia-formulas.txt.xz] # lists" in changed
    assert "# LaTeX tokens of a label" in changed
    write_recipe("synthetic-demo", params_path=params_path)
    committed = (repository / "params.yaml").read_text(encoding="utf-8")
    assert [line.split() for line in params_path.read_text(encoding="utf-8").splitlines()] == [
        line.split() for line in committed.splitlines()
    ]


def test_recipes_are_listed_and_chosen_on_the_command_line(params_path: Path) -> None:
    """A newcomer would have to know the folder."""
    run = CliRunner().invoke(app, ["--params", str(params_path), "recipe"])
    assert run.exit_code == 0
    assert [line.partition(":")[0] for line in run.output.splitlines()] == NAMES
    run = CliRunner().invoke(app, ["--params", str(params_path), "recipe", "crohme-scratch"])
    assert run.exit_code == 0, run.output
    assert load_params(params_path).dataset == "crohme"


def test_no_recipes_is_an_error(tmp_path: Path) -> None:
    """An empty list with exit code 0 says that all is well."""
    with pytest.raises(LatexifyError, match="the installation is incomplete"):
        list_recipes(tmp_path)


def test_a_name_that_is_not_there(params_path: Path) -> None:
    """The user must learn which there are, and keep their parameters."""
    before = params_path.read_bytes()
    with pytest.raises(LatexifyError, match=r"no recipe '\.\./params': choose from .*synthetic-demo"):
        write_recipe("../params", params_path=params_path)
    assert params_path.read_bytes() == before
