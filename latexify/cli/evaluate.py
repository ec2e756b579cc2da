"""The command `evaluate`: any model on any labelled inks or shards."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from latexify.artifacts.location import location_of
from latexify.cli.options import Device, Drawings, Only, Workspace, chosen_model, extra_needed
from latexify.pipeline.config import LABEL_ANNOTATIONS


def evaluate(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            help="Labelled InkML (files, folders, archives), folders or archives of pictures, or one folder of shards "
            "or inks."
        ),
    ],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="Model folder, or a TrOCR on the hub. Repeat it to compare others with the first. Default: "
            "data/model, the one trained here, else the installed model.",
            show_default=False,
        ),
    ] = None,
    beams: Annotated[int, typer.Option(min=1, max=32, help="Beam width; 1 is greedy search.")] = 1,
    drawings: Drawings = 1,
    out: Annotated[
        Path | None, typer.Option(help="Output folder. Default: data/evaluation.", show_default=False)
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            help="List of labels of pictures: CSV, TSV, JSON lines, Parquet …; repeat it for several. Default: looked "
            "for among the pictures.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Annotation (or column of the list) that holds the label; repeat it for several, the first that an "
            f"ink has wins. Default: {', '.join(LABEL_ANNOTATIONS)}.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[Literal["valid", "test"], typer.Option(help="Split of shards or inks.")] = "test",
    only: Only = None,
    constrained: Annotated[bool, typer.Option(help="Restrict predictions to well-formed LaTeX.")] = True,
    visual: Annotated[bool, typer.Option(help="Typeset the formulas and compare their looks.")] = True,
    device: Device = None,
) -> None:
    """Evaluate models on labelled inks or pictures: predictions, scores with intervals, tables and a report.

    Needs neither params.yaml nor training data. Inks are drawn as each model needs them. What cannot be evaluated is
    counted and named.
    """
    workspace: Workspace = context.obj
    with extra_needed("evaluate"):
        from latexify.eval.compare.files import format_result
        from latexify.eval.config import PredictParams
        from latexify.pipeline.engine.engine import usable_cpus
    with extra_needed("recognize"):
        from latexify.serve.evaluate.evaluation import EvaluationSettings, check_models, run, treatments_of
        from latexify.serve.evaluate.sets import open_set

    params = workspace.params_or_defaults
    models = [chosen_model(workspace, each) for each in model] if model else [chosen_model(workspace, None)]
    check_models(models)
    test_set = open_set(
        [location_of(path) for path in paths],
        names=paths,
        labels=label,
        lists=labels or [],
        split=split,
        inks=workspace.inks,
        treatments=treatments_of(models),
    )
    settings = EvaluationSettings(
        predict=PredictParams(split=split, num_beams=beams, num_drawings=drawings, constrained=constrained, only=only),
        score=params.score.model_copy(update={"visual": visual}),
        report=params.report,
        seed=params.seed,
        device=device,
        jobs=usable_cpus(),
    )
    folder = out or workspace.data("evaluation")
    result = run(settings, models=models, test_set=test_set, out=folder)
    print("\n".join([*test_set.account.lines(), format_result(result), f"results: {folder}"]))
