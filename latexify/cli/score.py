"""The commands ``score`` and ``calibrate``. Wiring only."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Device, Workspace
from latexify.params import Params


def score(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Parquet, CSV or JSON-lines files to score instead of data/predictions; several are compared with the "
            "first, sample by sample.",
            show_default=False,
        ),
    ] = None,
    reference_column: Annotated[str, typer.Option(help="Column of the true labels (with FILES).")] = "reference",
    prediction_column: Annotated[str, typer.Option(help="Column of the predictions (with FILES).")] = "prediction",
    key_column: Annotated[
        str, typer.Option(help="Column that names the samples; without it, files go row by row (with FILES).")
    ] = "key",
    normalize: Annotated[bool, typer.Option(help="Normalise both columns first (with FILES).")] = True,
    visual: Annotated[
        bool,
        typer.Option(help="Typeset the formulas and compare what they look like; milliseconds a pair (with FILES)."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for score.json and, of one file, tables by symbol and slice (with FILES)."),
    ] = None,
) -> None:
    """Compare predictions with references: character CER, token CER, exact match, looks, with 95 % intervals."""
    workspace: Workspace = context.obj
    if not files:
        from latexify.eval.score import stage
        from latexify.eval.score.summary import format_summary

        params = workspace.params
        result = stage.run(
            params.score,
            seed=params.seed,
            predictions=workspace.data("predictions"),
            shards=workspace.shards,
            metrics=workspace.metrics("score"),
            plots=workspace.data("plots"),
        )
        print(format_summary(result))
        return
    from latexify.eval.compare.columns import ColumnNames
    from latexify.eval.compare.files import format_result, score_files
    from latexify.pipeline.engine.engine import usable_cpus

    # files of answers can be scored anywhere, without a params.yaml
    params = workspace.params if workspace.params_path.exists() else Params()
    result = score_files(
        params.score,
        files=files,
        seed=params.seed,
        names=ColumnNames(reference=reference_column, prediction=prediction_column, key=key_column),
        normalize=normalize,
        visual=visual,
        jobs=usable_cpus(),
        out=out,
    )
    print(format_result(result))


def calibrate(
    context: typer.Context,
    model: Annotated[
        Path | None, typer.Option(help="Model folder; data/model if not given.", show_default=False)
    ] = None,
    device: Device = None,
) -> None:
    """Make confidences say how many of such answers are right, from validation inks; `train` does it by itself."""
    workspace: Workspace = context.obj
    from latexify.eval.predict import calibrate as command

    seed = workspace.params.seed if workspace.params_path.exists() else Params().seed
    folder = model or workspace.data("model")
    found = command.run(folder, shards=workspace.shards, seed=seed, device=device)
    right = f"{found.num_right} of {found.num_samples} validation inks right"
    print(f"{folder}: {right}; log-odds x {found.slope} + {found.offset}")
