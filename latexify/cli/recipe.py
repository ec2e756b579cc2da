"""The command `latexify recipe`: parameters of a recorded result, by name."""

import io
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from latexify.artifacts.files import write_atomically
from latexify.cli.options import Workspace
from latexify.common.errors import LatexifyError
from latexify.params import check_params, read_yaml

RECIPES = Path(__file__).resolve().parent.parent / "recipes"


def recipe(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Which one; without a name, all are listed.")] = None,
) -> None:
    """Set every parameter of params.yaml as a recorded result had it; then run `dvc repro`."""
    workspace: Workspace = context.obj
    if name is None:
        for path in _recipes():
            print(f"{path.stem}: {_about(path)}")
        return
    write_recipe(name, params_path=workspace.params_path)
    print(f"{workspace.params_path} is {name} now: run `dvc repro`")


def write_recipe(name: str, *, params_path: Path) -> None:
    """Give every parameter the recipe's value, or its default where the recipe is silent; comments stay.

    Raises LatexifyError where there is no such recipe, or one of the two files is not valid.
    """
    values = check_params(recipe_values(name), path=RECIPES / f"{name}.yaml").model_dump(mode="json")
    read_yaml(params_path)  # says what is wrong with it
    yaml = YAML(pure=True)  # keeps comments
    yaml.width = 4096
    yaml.representer.add_representer(type(None), _write_null)
    document = yaml.load(params_path.read_text(encoding="utf-8")) or {}
    _assign(document, values)
    text = io.StringIO()
    yaml.dump(document, text)
    write_atomically(params_path, text.getvalue().encode())


def recipe_values(name: str) -> dict[str, Any]:
    """What the recipe sets, by section, not yet validated. Raises LatexifyError where there is no such recipe."""
    path = RECIPES / f"{name}.yaml"
    if path not in _recipes():
        raise LatexifyError(f"no recipe {name!r}: choose from {', '.join(found.stem for found in _recipes())}")
    return read_yaml(path)


def _recipes() -> list[Path]:
    return sorted(RECIPES.glob("*.yaml"), key=lambda path: path.stem)


def _about(path: Path) -> str:
    """The first line of its head."""
    return path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def _write_null(representer: Any, value: None) -> Any:
    """As `null`, not as nothing."""
    del value
    return representer.represent_scalar("tag:yaml.org,2002:null", "null")


def _on_one_line(values: list[Any]) -> CommentedSeq:
    """As `[a, b]`: a comment that follows would stand between the lines of a list."""
    line = CommentedSeq(values)
    line.fa.set_flow_style()
    return line


def _assign(document: dict[str, Any], values: dict[str, Any]) -> None:
    """Set the values in place, leaf by leaf, as comments hang on the leaves' places."""
    for key, value in values.items():
        if isinstance(value, dict):
            _assign(document.setdefault(key, {}), value)
        elif key not in document or document[key] != value:
            document[key] = _on_one_line(value) if isinstance(value, list) else value
    for unknown in set(document) - set(values):
        del document[unknown]
