"""`python -m benchmarks.mathwriting`, or `make bench-mathwriting`: MathWriting at its full size, from the archive on.

An archive in Google's layout is made of CROHME's symbols (`archive`), and all stages run on it. It needs
LATEXIFY_REAL_DATA, and 20 GB of disk for 650,000 inks.
"""

import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import machine
from benchmarks.bench.inks import real_data
from benchmarks.bench.tables import write_into
from benchmarks.mathwriting import run, tables
from benchmarks.mathwriting.archive import Material
from latexify.pipeline.config import CrohmeParams

RESULTS = machine.REPOSITORY / "benchmarks" / "results"
DOCUMENT = machine.REPOSITORY / "docs" / "log" / "performance.md"


def main(  # noqa: PLR0913  # the switches of a command
    *,
    num_inks: Annotated[int, typer.Option(min=1000, help="Inks of the archive.")] = 650_000,
    num_valid: Annotated[
        int | None, typer.Option(min=1, help="Validation inks. Default: MathWriting's proportion.", show_default=False)
    ] = None,
    train_steps: Annotated[int, typer.Option(min=1, help="Steps of the training.")] = 20,
    unpacked: Annotated[bool, typer.Option(help="Ingest the archive as a plain tar as well.")] = True,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Folder to work in, which keeps the archive for the next run. Default: a temporary one.",
            show_default=False,
        ),
    ] = None,
    base: Annotated[str, typer.Option(help="Model that the training begins with.")] = "models/crohme-small",
    results: Annotated[Path, typer.Option(help="Folder for the JSON and Markdown files.")] = RESULTS,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the tables into docs/log/performance.md.")
    ] = False,
    show: Annotated[Path | None, typer.Option(help="Measure nothing: print the tables of this JSON file.")] = None,
) -> None:
    """Make an archive like MathWriting's, run every stage on it, print Markdown, and keep the results as JSON."""
    if show is not None:
        found = json.loads(show.read_text(encoding="utf-8"))
    else:
        raw = real_data()
        if raw is None:
            sys.exit("LATEXIFY_REAL_DATA must name the folder of CROHME (CONTRIBUTING.md): its symbols are used")
        amount = run.Amount(num_inks=num_inks, num_valid=num_valid, train_steps=train_steps, unpacked=unpacked)
        about = machine.describe()
        with ExitStack() as stack:
            place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latexify-mathwriting-")))
            place.mkdir(parents=True, exist_ok=True)
            material = Material(raw=raw, section=CrohmeParams(), composed=run.COMPOSED)
            measured = run.measure(place, amount, material=material, base=base)
        command = " ".join(["python -m benchmarks.mathwriting", *sys.argv[1:]])
        found = {"machine": about, "settings": {"command": command, "repeats": 1}, **measured}
        results.mkdir(parents=True, exist_ok=True)
        name = f"{about['date'].partition(' ')[0]}-{about['commit']}-mathwriting"
        (results / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (results / f"{name}.md").write_text(tables.markdown(found), encoding="utf-8")
    report = tables.markdown(found)
    print(report)
    if write_docs:
        write_into(DOCUMENT, report, begin=tables.BEGIN, end=tables.END)


if __name__ == "__main__":
    typer.run(main)
