"""The command line: its commands, and errors as one line with exit code 1."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from latexify.artifacts.location import store_errors
from latexify.cli import compose, desktop, evaluate, inspect, publish, recipe, recognize, runs, score, serve, stages
from latexify.cli.options import Workspace
from latexify.common.errors import LatexifyError, one_line
from latexify.version import VERSION


class Commands(TyperGroup):
    """The commands; a file where a command is expected gets advice."""

    @override
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and Path(args[0]).exists():
            ctx.fail(f"No such command {args[0]!r}. To recognise a file, run `latexify recognize {args[0]}`.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="latexify",
    no_args_is_help=True,
    cls=Commands,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Recognise handwritten mathematics as LaTeX, and train the models that do it.\n\n"
    "`latexify recognize FILE` prints the LaTeX of an ink or a picture. The pipeline commands "
    "are the stages of dvc.yaml: `dvc repro` runs those whose inputs changed. Parameters that change results are set "
    "in params.yaml; most options here (jobs, backends, devices, files) do not change them.",
)

# by the panel of the help in which they are listed
COMMANDS: dict[str, list[Callable[..., Any]]] = {
    "Use a model": [recognize.recognize, desktop.clip, desktop.watch, serve.serve, serve.demo],
    "Pipeline": [
        stages.params,
        stages.inputs,
        stages.source,
        stages.ingest,
        stages.vocab,
        stages.rasterize,
        stages.train,
        stages.predict,
        score.score,
        stages.report,
    ],
    "Parameters and data": [recipe.recipe, compose.compose, inspect.inspect, inspect.verify],
    "Evaluate": [evaluate.evaluate, score.calibrate],
    "Publish and deploy": [publish.publish, publish.export_onnx, recipe.sagemaker_train],
}
for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(rich_help_panel=_panel)(_command)
app.add_typer(runs.app, name="runs", rich_help_panel="Parameters and data")

DISK_ERRORS = {
    errno.ENOSPC: "the disk is full: make room and run the same command again",
    errno.EDQUOT: "the disk quota is used up: make room and run the same command again",
    errno.EACCES: "no permission to read or write a file or folder: change its permissions, or choose another --root",
    errno.EROFS: "the file system is read-only: choose another --root",
}


def _print_version(is_given: bool) -> None:  # noqa: FBT001  # typer calls it so
    if is_given:
        print(f"latexify {VERSION}")
        raise typer.Exit


@app.callback()
def main_options(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    params: Annotated[Path, typer.Option(help="Parameter file.")] = Path("params.yaml"),
    root: Annotated[Path, typer.Option(help="Folder of data/, runs/ and metrics/.")] = Path(),
    inks: Annotated[
        str | None,
        typer.Option(
            help="Inks: a folder or a URL such as s3://bucket/inks. Default: ROOT/data/inks.", show_default=False
        ),
    ] = None,
    shards: Annotated[
        str | None, typer.Option(help="Shards: a folder or a URL. Default: ROOT/data/shards.", show_default=False)
    ] = None,
    version: Annotated[  # noqa: ARG001  # its callback prints it
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Recognise handwritten mathematics as LaTeX, and train the models that do it."""
    context.obj = Workspace(params, root, inks, shards)


def main() -> None:
    """Run the command line; an error that the user can fix is one message and exit code 1."""
    try:
        app(prog_name="latexify")
    except LatexifyError as error:
        message = str(error)
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        path = f" ({error.filename})" if error.filename else ""
        message = f"{DISK_ERRORS[error.errno]}{path}; no partial files are left"
    except store_errors() as error:
        message = f"the object store failed ({one_line(error)}): check its settings in the environment "
        message += "(docs/guide/scale.md), then run the same command again"
    else:
        return
    print(f"latexify: {message}", file=sys.stderr)
    sys.exit(1)
