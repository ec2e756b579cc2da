"""The commands about the folders of trainings: `runs` lists them, `runs remove` makes room."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MANIFEST_NAME, MODEL
from latexify.cli.options import Workspace
from latexify.common.errors import LatexifyError

app = typer.Typer(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def runs(context: typer.Context) -> None:
    """List the trainings in runs/: state, steps, best validation and sizes; `runs remove` makes room."""
    if context.invoked_subcommand is not None:
        return
    workspace: Workspace = context.obj
    from latexify.trainer.runs.listing import format_runs, list_runs

    found, problems = list_runs(workspace.root / "runs")
    model = workspace.data("model")
    exported = read_manifest(model, MODEL).fingerprint if (model / MANIFEST_NAME).exists() else None
    print(format_runs(found, exported=exported))
    for problem in problems:
        print(f"latexify: {problem}", file=sys.stderr)


@app.command()
def remove(
    context: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Runs: folders, or the beginnings of their names.", metavar="[RUN]...", show_default=False),
    ] = None,
    finished: Annotated[bool, typer.Option("--finished", help="All finished runs.")] = False,
    whole: Annotated[
        bool, typer.Option("--whole", help="Remove the folders of finished runs with all that is in them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the files and their bytes; remove nothing.")] = False,
) -> None:
    """Remove checkpoints: a finished run keeps its best model, any other its latest whole checkpoint."""
    workspace: Workspace = context.obj
    from latexify.trainer.runs import removal

    if not names and not finished:
        raise LatexifyError("name the runs to remove, or give --finished: `latexify runs` lists them")
    chosen = removal.choose_runs(workspace.root / "runs", names or [], finished=finished)
    continued = workspace.params_or_defaults.train.resume_from
    if continued is not None and any(run.folder.resolve() == Path(continued).resolve() for run in chosen):
        raise LatexifyError(f"{continued} is what train.resume_from in {workspace.params_path} continues: leave it out")
    total = 0
    for plan in [removal.plan_removal(run, whole=whole) for run in chosen]:
        num_bytes = plan.num_bytes
        for path in plan.files:
            print(f"{path.stat().st_size:>14,}  {path}")
        print(f"{num_bytes:>14,}  bytes of {plan.folder}: {plan.consequence}")
        if not dry_run:
            removal.remove(plan)
        total += num_bytes
    print(f"{total:>14,}  bytes {'would be removed' if dry_run else 'were removed'}")
