"""The commands that set parameters from a recipe: `recipe` and `sagemaker-train`."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq

from latexify.cli.options import Workspace, extra_needed
from latexify.common.errors import LatexifyError
from latexify.common.package_data import RECIPES, list_recipes
from latexify.params import check_params, read_yaml


def recipe(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name of the recipe; without it, all are listed.")] = None,
) -> None:
    """Set all parameters of params.yaml to those of a recorded result, or list the recipes."""
    workspace: Workspace = context.obj
    if name is None:
        for path in list_recipes():
            summary = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
            print(f"{path.stem}: {summary}")
        return
    write_recipe(name, params_path=workspace.params_path)
    print(f"{workspace.params_path} now holds {name}: run `dvc repro`")


def sagemaker_train(
    root: Annotated[Path, typer.Option(help="SageMaker's folder.")] = Path("/opt/ml"),
    work: Annotated[Path, typer.Option(help="Folder for this instance's intermediate files.")] = Path(
        "/tmp/latexify"  # noqa: S108  # the container's own, on the volume that SageMaker gives it
    ),
    port: Annotated[int, typer.Option(help="Port on which the first instance waits for the others.")] = 29400,
) -> None:
    """Run a SageMaker training job: hyperparameters are parameters (`train.max_steps`), channels are data."""
    from latexify.serve.sagemaker import job as sagemaker

    try:
        with extra_needed("train"):
            from latexify.serve.sagemaker import train
        job = sagemaker.read_job(root)
        params = check_params(merged(job.hyperparameters), path=job.hyperparameters_path).model_dump(mode="json")
        num_gpus = train.count_gpus()
        code = train.run(job, params, children=train.ProcessRunner(), work=work, num_gpus=num_gpus, port=port)
    except Exception as error:
        sagemaker.write_failure(root, str(error) if isinstance(error, LatexifyError) else repr(error))
        raise
    raise typer.Exit(code)


def write_recipe(name: str, *, params_path: Path) -> None:
    """Set every parameter in `params_path` (made if there is none) to the recipe's value or its default; comments stay.

    Raises LatexifyError if there is no such recipe, or one of the two files is not valid.
    """
    from latexify.artifacts.files import write_atomically

    values = check_params(recipe_values(name), path=RECIPES / f"{name}.yaml").model_dump(mode="json")
    yaml = YAML(pure=True)  # keeps comments
    yaml.width = 4096
    null = ("tag:yaml.org,2002:null", "null")
    yaml.representer.add_representer(type(None), lambda representer, _: representer.represent_scalar(*null))
    document: dict[str, Any] = {}
    if params_path.exists():
        read_yaml(params_path)  # reports what is wrong with it
        document = yaml.load(params_path.read_text(encoding="utf-8")) or {}
    _assign(document, values)
    text = io.StringIO()
    yaml.dump(document, text)
    write_atomically(params_path, text.getvalue().encode())


def recipe_values(name: str) -> dict[str, Any]:
    """Read the values that the recipe sets, by section, not yet validated. Raises LatexifyError if there is none."""
    recipes = {path.stem: path for path in list_recipes()}
    if name not in recipes:
        raise LatexifyError(f"no recipe {name!r}: choose from {', '.join(recipes)}")
    return read_yaml(recipes[name])


def merged(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections given by the hyperparameters, on top of those of the recipe that `recipe` names."""
    from latexify.serve.sagemaker.job import nested

    own = dict(hyperparameters)
    name = own.pop("recipe", None)
    sections = {} if name is None else recipe_values(str(name))
    for section, value in nested(own).items():
        sections[section] = {**sections.get(section, {}), **value} if isinstance(value, dict) else value
    return sections


def _assign(document: dict[str, Any], values: dict[str, Any]) -> None:
    """Set the values leaf by leaf, because comments belong to the leaves."""
    for key, value in values.items():
        if isinstance(value, dict):
            _assign(document.setdefault(key, {}), value)
        elif key not in document or document[key] != value:
            document[key] = value
            if isinstance(value, list):  # as `[a, b]`: a comment that follows would otherwise end up between its lines
                document[key] = CommentedSeq(value)
                document[key].fa.set_flow_style()
    for unknown in set(document) - set(values):
        del document[unknown]
