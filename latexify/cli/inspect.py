"""The commands that look at data without changing it: `inspect` and `verify`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from latexify.artifacts.location import location_of
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.cli.options import Address, Backend, Jobs, Workspace, absolute, engine_for, extra_needed
from latexify.common.errors import LatexifyError


def verify(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    folder: Annotated[
        str | None, typer.Argument(help="Shard folder or URL. Default: data/shards.", show_default=False)
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Tokenizer folder. Default: data/tokenizer.", show_default=False)
    ] = None,
    tokens: Annotated[bool, typer.Option(help="Also compare the token ids with the tokenizer's.")] = True,
    report: Annotated[
        Path | None, typer.Option(help="Write all findings into this file, one JSON object per line.")
    ] = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    address: Address = None,
) -> None:
    """Check every byte of the shards against their manifest, and list what is damaged."""
    workspace: Workspace = context.obj
    from latexify.shards.verify import verify as check

    location = absolute(location_of(folder) if folder is not None else workspace.shards)
    read_manifest(location, SHARDS)
    round_trip = None
    if tokens:
        with extra_needed("rasterize"):
            from latexify.pipeline.vocab.round_trip import open_round_trip

        round_trip = open_round_trip(tokenizer or workspace.data("tokenizer"), shards=location)
    with engine_for(location, backend=backend, jobs=jobs, address=address) as engine:
        result = check.verify(location, encode=round_trip.encode if round_trip else None, engine=engine, report=report)
    print(check.describe(result))
    if round_trip is not None and round_trip.num_lost:
        print(round_trip.describe())
    if result.num_findings:
        raise LatexifyError(check.summary_of_damage(result))


def inspect(  # noqa: PLR0913, PLR0917  # one parameter per option
    paths: Annotated[
        list[str],
        typer.Argument(help="InkML (file, folder, archive), inks, shards (folder or tar), or rejects.parquet."),
    ],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet into this PNG file.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="Number of samples to show per path.")] = 24,
    pick: Annotated[
        Literal["random", "longest", "widest", "smallest", "most-strokes"], typer.Option(help="Which samples to show.")
    ] = "random",
    label: Annotated[
        str | None,
        typer.Option(help="Only labels that contain this text or, if none does, match it as a regular expression."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only samples whose key or source contains this text.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the random choice.")] = 0,
) -> None:
    """Summarise data, and optionally draw a contact sheet of samples."""
    with extra_needed("rasterize"):
        from latexify.pipeline.inspect.entry import Choice
        from latexify.pipeline.inspect.inspect import inspect as inspect_paths

    choice = Choice(pick=pick, count=count, label=label, key=key, split=split, seed=seed)
    for line in inspect_paths([location_of(path) for path in paths], choice, sheet=sheet):
        print(line)
