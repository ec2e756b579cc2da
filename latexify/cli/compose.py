"""The command `compose`: composed inks outside the pipeline."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Address, Backend, Jobs, Workspace, engine_for, extra_needed
from latexify.common.errors import LatexifyError


def compose(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="Tar to write if the name ends in .tar, otherwise a new folder.")],
    num_inks: Annotated[
        int | None, typer.Option(min=1, help="Number of inks. Default: composed.num_inks.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Default: the seed of params.yaml.", show_default=False)] = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    address: Address = None,
) -> None:
    """Write inks composed of symbols from the training inks (section `composed`). Run `latexify source` first."""
    workspace: Workspace = context.obj
    params = workspace.params
    with extra_needed("rasterize"):
        from latexify.artifacts.names import COMPOSED_NAME
        from latexify.pipeline.source.stage import read_plan
        from latexify.pipeline.synthesis.composed import compose as composing

    section = params.composed.model_copy(update={"num_inks": num_inks or params.composed.num_inks})
    if not section.num_inks:
        raise LatexifyError("composed.num_inks is 0: give a number with --num-inks")
    source = workspace.data("source")
    plan = read_plan(source)
    human_written = [item for item in plan.inputs if item.name != COMPOSED_NAME]
    with engine_for(out.absolute(), backend=backend, jobs=jobs, address=address) as engine:
        counts = composing.compose(
            section,
            plan=plan.model_copy(update={"inputs": human_written}),
            base=source.absolute(),
            raw=workspace.raw,
            seed=params.seed if seed is None else seed,
            out=out.absolute(),
            engine=engine,
        )
    print(composing.describe(counts))
