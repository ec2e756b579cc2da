"""The command that a SageMaker training job starts: ``sagemaker-train``. Wiring only."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from latexify.cli.recipe import recipe_values
from latexify.common.errors import LatexifyError
from latexify.params import check_params


def sagemaker_train(
    root: Annotated[Path, typer.Option(help="SageMaker's folder.")] = Path("/opt/ml"),
    work: Annotated[Path, typer.Option(help="Where this instance keeps what is made on the way.")] = Path(
        "/tmp/latexify"  # noqa: S108  # the container's own, on the volume that SageMaker gives it
    ),
    port: Annotated[int, typer.Option(help="Where the first instance waits for the others.")] = 29400,
) -> None:
    """Train as a SageMaker job says: hyperparameters are parameters (`train.max_steps`), channels are data."""
    from latexify.serve.sagemaker import job as sagemaker
    from latexify.serve.sagemaker import train as sagemaker_train

    children = sagemaker_train.ProcessRunner()
    try:
        job = sagemaker.read_job(root)
        params = check_params(merged(job.hyperparameters), path=job.hyperparameters_path).model_dump(mode="json")
        num_gpus = sagemaker_train.count_gpus()
        code = sagemaker_train.run(job, params, children=children, work=work, num_gpus=num_gpus, port=port)
    except Exception as error:
        sagemaker.write_failure(root, str(error) if isinstance(error, LatexifyError) else repr(error))
        raise
    raise typer.Exit(code)


def merged(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """The sections that the hyperparameters give, on top of those of the recipe that `recipe` names."""
    from latexify.serve.sagemaker.job import nested

    own = dict(hyperparameters)
    recipe = own.pop("recipe", None)
    sections = {} if recipe is None else recipe_values(str(recipe))
    for name, value in nested(own).items():
        sections[name] = {**sections.get(name, {}), **value} if isinstance(value, dict) else value
    return sections
