"""The commands `score` and `calibrate`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.artifacts.names import PREDICTIONS_NAME
from latexify.cli.options import Device, Workspace, extra_needed
from latexify.common.errors import LatexifyError
from latexify.common.package_data import is_model


def score(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Parquet, CSV, TSV, JSON or JSON-lines files to score instead of data/predictions. Of several, each "
            "is compared with the first, sample by sample.",
            show_default=False,
        ),
    ] = None,
    reference_column: Annotated[str, typer.Option(help="Column of the true labels (with FILES).")] = "reference",
    prediction_column: Annotated[str, typer.Option(help="Column of the predictions (with FILES).")] = "prediction",
    key_column: Annotated[
        str, typer.Option(help="Column of the sample keys; without it, rows are matched in order (with FILES).")
    ] = "key",
    normalize: Annotated[bool, typer.Option(help="Normalise both columns first (with FILES).")] = True,
    compact: Annotated[
        bool, typer.Option("--compact", help="Remove the spaces between tokens first (with FILES).")
    ] = False,
    mathwriting: Annotated[
        bool,
        typer.Option(
            "--mathwriting",
            help="Count as MathWriting does: its tokens to the letter, nothing normalised. Without FILES, the labels "
            "as found and the predictions as decoded, of data/predictions.",
        ),
    ] = False,
    visual: Annotated[
        bool, typer.Option(help="Typeset the formulas and compare their looks, milliseconds a pair (with FILES).")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for score.json and, for a single file, tables by symbol and slice (with FILES)."),
    ] = None,
) -> None:
    """Score predictions: character and token error rate, exact match and looks, with 95 % confidence intervals."""
    workspace: Workspace = context.obj
    if not files and not mathwriting:
        with extra_needed("evaluate"):
            from latexify.eval.score import stage
            from latexify.eval.score.summary import format_summary
            from latexify.pipeline.engine.engine import usable_cpus

        params = workspace.params
        result = stage.run(
            params.score,
            seed=params.seed,
            predictions=workspace.data("predictions"),
            shards=workspace.shards,
            metrics=workspace.metrics("score"),
            plots=workspace.data("plots"),
            jobs=usable_cpus(),
        )
        print(format_summary(result))
        return
    with extra_needed("evaluate"):
        from latexify.eval.compare.columns import ColumnNames
        from latexify.eval.compare.files import format_result, score_files
        from latexify.eval.compare.text_form import TextForm
        from latexify.pipeline.engine.engine import usable_cpus

    names = ColumnNames(reference=reference_column, prediction=prediction_column, key=key_column)
    if not files:
        files = [workspace.data("predictions") / PREDICTIONS_NAME]
        names = ColumnNames(reference="label", prediction="prediction_raw")
    params = workspace.params_or_defaults
    result = score_files(
        params.score,
        files=files,
        seed=params.seed,
        names=names,
        form=TextForm(is_normalized=normalize, is_compact=compact, is_mathwriting=mathwriting),
        visual=visual,
        jobs=usable_cpus(),
        out=out,
        notify=lambda line: print(f"latexify: {line}", file=sys.stderr),
    )
    print(format_result(result))


def calibrate(
    context: typer.Context,
    model: Annotated[
        Path | None,
        typer.Option(
            help="Model folder, which is changed. Default: data/model, the one trained here.", show_default=False
        ),
    ] = None,
    drawings: Annotated[
        bool,
        typer.Option("--drawings/--no-drawings", help="Also fit the votes of seven drawings, which takes far longer."),
    ] = False,
    device: Device = None,
) -> None:
    """Calibrate a model's confidences on the validation inks, by kind of search. `train` already does this."""
    workspace: Workspace = context.obj
    with extra_needed("evaluate"):
        from latexify.eval.predict import calibrate as command
        from latexify.eval.predict.calibration import DRAWINGS

    folder = model or workspace.data("model")
    if model is None and not is_model(folder):
        raise LatexifyError(
            f"{folder} holds no model to calibrate: run `latexify train`, or name one with --model (the installed one "
            "is calibrated already and stays as it is)"
        )
    kinds = [kind for kind in command.SEARCHES if drawings or kind != DRAWINGS]
    seed = workspace.params_or_defaults.seed
    calibration = command.run(folder, shards=workspace.shards, seed=seed, device=device, kinds=kinds)
    for kind, line in calibration.searches.items():
        num_right = f"{line.num_right} of {line.num_samples} validation inks right"
        print(f"{folder}: {kind}: {num_right}; log-odds x {line.slope} + {line.offset}")
