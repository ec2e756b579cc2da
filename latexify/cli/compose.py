"""The command that makes composed inks outside the pipeline: ``compose``. Wiring only."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Address, Backend, Jobs, Workspace, engine_for


def compose(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="A tar to write, if its name ends in .tar; otherwise a new folder.")],
    num_inks: Annotated[
        int | None, typer.Option(min=1, help="How many; composed.num_inks if not given.", show_default=False)
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Another than params.yaml's.", show_default=False)] = None,
    jobs: Jobs = 0,
    backend: Backend = "loky",
    address: Address = None,
) -> None:
    """Write inks composed of symbols of the training inks, as section `composed` says; needs what `source` writes."""
    workspace: Workspace = context.obj
    params = workspace.params
    from latexify.artifacts.names import COMPOSED_NAME
    from latexify.common.errors import LatexifyError
    from latexify.pipeline.source.stage import read_plan
    from latexify.pipeline.synthesis.composed.compose import compose as write
    from latexify.pipeline.synthesis.composed.compose import describe

    wanted = params.composed.model_copy(update={"num_inks": num_inks or params.composed.num_inks})
    if not wanted.num_inks:
        raise LatexifyError("composed.num_inks is 0: say how many, with --num-inks")
    source = workspace.data("source")
    plan = read_plan(source)
    human = [item for item in plan.inputs if item.name != COMPOSED_NAME]
    with engine_for(out.absolute(), backend=backend, jobs=jobs, address=address) as engine:
        counts = write(
            wanted,
            plan=plan.model_copy(update={"inputs": human}),
            base=source.absolute(),
            raw=workspace.raw,
            seed=params.seed if seed is None else seed,
            out=out.absolute(),
            engine=engine,
        )
    print(describe(counts))
