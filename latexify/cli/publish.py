"""The commands that hand a model on: `publish` (Hugging Face Hub) and `export-onnx`."""

from pathlib import Path
from typing import Annotated

import typer

from latexify.cli.options import ModelFolder, Workspace, chosen_model, extra_needed
from latexify.common.errors import LatexifyError


def publish(  # noqa: PLR0913, PLR0917  # one parameter per option
    context: typer.Context,
    repo: Annotated[str, typer.Argument(help="Hub repository, NAME or NAMESPACE/NAME; created if it does not exist.")],
    model: ModelFolder = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make a newly created repository public; the default is private.")
    ] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to; created if it does not exist.")] = "main",
    message: Annotated[str, typer.Option(help="Commit message.")] = "Publish a model of latexify",
    card: Annotated[
        Path | None,
        typer.Option(help="Your own model card, instead of the model folder's README.md or a generated one."),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Name of the training data, if it is no longer in data/.")] = None,
    licence: Annotated[
        str | None, typer.Option("--license", help="License identifier of the Hub, instead of the data's license.")
    ] = None,
    space: Annotated[
        bool,
        typer.Option(
            "--space",
            help="Also publish a Space of the same name: the demo with this model. Its folder is data/space.",
        ),
    ] = False,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Leave out the scores of metrics/.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write data/card/README.md and list the files; upload nothing.")
    ] = False,
) -> None:
    """Upload a model and its card to the Hugging Face Hub, with the token of `hf auth login` or HF_TOKEN."""
    workspace: Workspace = context.obj
    with extra_needed("publish"):
        from latexify.artifacts.files import write_atomically
        from latexify.artifacts.names import CARD_NAME
        from latexify.serve.hub import publish as hub
        from latexify.serve.hub.card import build_card, licence_of
        from latexify.serve.hub.facts import check_model, read_facts
        from latexify.serve.hub.space import make_space

    hub.check_repo_name(repo)
    folder = chosen_model(workspace, model)
    check_model(folder)
    card_path = card or folder / CARD_NAME
    if card_path.is_file():
        text = card_path.read_text(encoding="utf-8")
    elif card is not None:
        raise LatexifyError(f"{card} not found: correct --card, or leave it out to generate a card")
    else:
        facts = read_facts(
            folder,
            data=workspace.root / "data",
            metrics=workspace.root / "metrics",
            dataset=dataset,
            with_figures=not no_figures,
        )
        text = build_card(facts, repo=repo, licence=licence)
    space_folder = workspace.data("space")
    if space:
        make_space(space_folder, model=folder, repo=repo, revision=revision, licence=licence_of(text))
    if dry_run:
        out = workspace.data("card") / CARD_NAME
        write_atomically(out, text.encode())
        for name, num_bytes in hub.list_files(folder, card=text).items():
            print(f"{num_bytes:>14,}  {name}")
        print(f"card: {out}")
        if space:
            print(f"space: {space_folder}")
        return
    done = hub.publish(folder, repo=repo, card=text, message=message, private=not public, revision=revision)
    print(f"{done.num_files} files, {done.num_bytes:,} bytes: {done.commit_url}")
    if space:
        done = hub.publish_space(space_folder, repo=done.repo, message=message, private=not public)
        print(f"space: {done.num_files} files, {done.num_bytes:,} bytes: {done.commit_url}")


def export_onnx(
    context: typer.Context,
    model: ModelFolder = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Output folder; may be the model folder, which then holds both forms. Default: data/onnx.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Export a model as ONNX graphs for onnxruntime, after checking that they compute what torch computes."""
    workspace: Workspace = context.obj
    with extra_needed("onnx"):
        from latexify.trainer.inference.onnx import export

    folder = chosen_model(workspace, model)
    done = export.export_onnx(folder, out=out or workspace.data("onnx"))
    print(done.comparison)
    for name, num_bytes in done.num_bytes.items():
        print(f"{num_bytes:>14,}  {done.folder / name}")
