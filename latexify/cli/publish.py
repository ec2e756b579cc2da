"""The command that sends a model to the Hugging Face Hub: ``publish``. Wiring only."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import Workspace
from latexify.common.errors import LatexifyError


def publish(  # noqa: PLR0913, PLR0917  # a switch each
    context: typer.Context,
    repo: Annotated[str, typer.Argument(help="Repository on the Hub, NAME or NAMESPACE/NAME; made if need be.")],
    model: Annotated[
        Path | None, typer.Option(help="Model folder; data/model if not given.", show_default=False)
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Let everybody see a repository that is made here; else it is private.")
    ] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to; made if need be.")] = "main",
    message: Annotated[str, typer.Option(help="Commit message.")] = "Publish a model of latexify",
    card: Annotated[
        Path | None,
        typer.Option(help="A card of your own, rather than the model folder's README.md or a generated one."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What the model was trained on, where its data is no longer in data/.")
    ] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="Identifier of the Hub's list, rather than the data's.")
    ] = None,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Do without metrics/score.json.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the card to data/card/README.md and list the files; send nothing.")
    ] = False,
) -> None:
    """Send a model and its card to the Hugging Face Hub. The token is that of `hf auth login`, or HF_TOKEN."""
    workspace: Workspace = context.obj
    from latexify.artifacts.files import write_atomically
    from latexify.artifacts.names import CARD_NAME
    from latexify.serve.hub import publish as hub
    from latexify.serve.hub.card import build_card
    from latexify.serve.hub.facts import check_model, read_facts

    hub.check_repo_name(repo)
    folder = model or workspace.data("model")
    check_model(folder)
    written = card or folder / CARD_NAME
    if written.is_file():
        text = written.read_text(encoding="utf-8")
    elif card is not None:
        raise LatexifyError(f"{card} not found: correct --card, or leave it out to have one generated")
    else:
        facts = read_facts(
            folder,
            data=workspace.root / "data",
            metrics=workspace.root / "metrics",
            dataset=dataset,
            with_figures=not no_figures,
        )
        text = build_card(facts, repo=repo, licence=licence)
    if dry_run:
        out = workspace.data("card") / CARD_NAME
        write_atomically(out, text.encode())
        for name, num_bytes in hub.list_files(folder, card=text).items():
            print(f"{num_bytes:>14,}  {name}")
        print(f"card: {out}")
        return
    done = hub.publish(folder, repo=repo, card=text, message=message, private=not public, revision=revision)
    print(f"{done.num_files} files, {done.num_bytes:,} bytes: {done.commit_url}")
