"""The commands that look at data and change none: ``verify`` and ``inspect``. Wiring only."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from latexify.cli.options import Address, Backend, Jobs, Workspace, engine_for, seen_from_anywhere
from latexify.common.errors import LatexifyError


def verify(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    folder: Annotated[
        str | None, typer.Argument(help="Shard folder or URL; data/shards if not given.", show_default=False)
    ] = None,
    tokenizer: Annotated[
        Path | None, typer.Option(help="Tokenizer folder; data/tokenizer if not given.", show_default=False)
    ] = None,
    tokens: Annotated[bool, typer.Option(help="Compare the token ids with the tokenizer's.")] = True,
    report: Annotated[
        Path | None, typer.Option(help="Write every finding into this file, a JSON object a line.")
    ] = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    address: Address = None,
) -> None:
    """Check shards against their manifest, down to every byte of every sample; name what is damaged."""
    workspace: Workspace = context.obj
    from latexify.artifacts.location import location_of
    from latexify.shards.verify import verify as check

    place = seen_from_anywhere(location_of(folder) if folder is not None else workspace.shards)
    round_trip = None
    if tokens:
        from latexify.pipeline.vocab.round_trip import open_round_trip

        round_trip = open_round_trip(tokenizer or workspace.data("tokenizer"), shards=place)
    with engine_for(place, backend=backend, jobs=jobs, address=address) as engine:
        found = check.verify(place, encode=round_trip.encode if round_trip else None, engine=engine, report=report)
    print(check.describe(found))
    if round_trip is not None and round_trip.num_lost:
        print(round_trip.describe())
    if found.num_findings:
        raise LatexifyError(check.summary_of_damage(found))


def inspect(  # noqa: PLR0913, PLR0917  # a switch each
    paths: Annotated[
        list[str],
        typer.Argument(help="InkML (file, folder, archive), inks, shards (folder or tar), or rejects.parquet."),
    ],
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet into this PNG file.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many to show of each path.")] = 24,
    pick: Annotated[
        Literal["random", "longest", "widest", "smallest", "most-strokes"], typer.Option(help="Which ones.")
    ] = "random",
    label: Annotated[
        str | None,
        typer.Option(help="Only labels that hold this text or, if none does, match it as a regular expression."),
    ] = None,
    key: Annotated[str | None, typer.Option(help="Only those whose key or source holds this text.")] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    seed: Annotated[int, typer.Option(help="Another one picks other random ones.")] = 0,
) -> None:
    """Say in words what data holds, and draw a sheet of samples to look at."""
    from latexify.artifacts.location import location_of
    from latexify.pipeline.inspect.entry import Choice
    from latexify.pipeline.inspect.inspect import inspect as inspect_paths

    choice = Choice(pick=pick, count=count, label=label, key=key, split=split, seed=seed)
    for line in inspect_paths([location_of(path) for path in paths], choice, sheet=sheet):
        print(line)
