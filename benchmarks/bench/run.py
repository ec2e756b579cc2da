"""`make bench`: everything measured in one run, beside the baselines and the targets; see docs/log/performance.md.

Run from the project's folder as `python -m benchmarks`.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import machine
from benchmarks.bench import compare, evaluation, memory, plans, scoring, stages, steps, tables, training
from benchmarks.bench.cores import Pools, open_pools
from benchmarks.bench.inks import RawInk, choose, crohme_inks, labels_of, real_data, synthetic_inks
from benchmarks.bench.measured import Measured, Target
from benchmarks.studies.exam import Amount

RESULTS = machine.REPOSITORY / "benchmarks" / "results"
DOCUMENT = machine.REPOSITORY / "docs" / "log" / "performance.md"


class Part(StrEnum):
    """What can be measured by itself. `scale` is not part of `make bench`: it takes minutes."""

    COMPARE = "compare"
    STEPS = "steps"
    PLAN = "plan"
    MEMORY = "memory"
    TRAINING = "training"
    EVALUATION = "evaluation"
    SCORING = "scoring"
    SCALE = "scale"


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of everything."""

    sizes: compare.Sizes
    planned_samples: int
    scale_inks: tuple[int, int]
    synthetic_inks: int
    training_steps: int
    exam: Amount
    scored_pairs: int


FULL = Effort(
    sizes=compare.Sizes(num_inks=320, num_copies=75, repeats=5),
    planned_samples=1_000_000,
    scale_inks=(10_000, 100_000),
    synthetic_inks=5_000,
    training_steps=12,
    exam=Amount(num_inks=None, num_steps=600, repeats=3),
    scored_pairs=1_000_000,
)
QUICK = Effort(
    sizes=compare.Sizes(num_inks=32, num_copies=4, repeats=1),
    planned_samples=100_000,
    scale_inks=(100, 200),
    synthetic_inks=100,
    training_steps=2,
    exam=Amount(num_inks=24, num_steps=2, repeats=1),
    scored_pairs=2_000,
)


@dataclass(kw_only=True)
class Bench:
    """One run: what it works with, and what it has found so far."""

    effort: Effort
    parts: Sequence[Part]
    folder: Path
    pools: Pools
    measured: list[Measured] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def run(self) -> None:
        """Measure all parts, on CROHME's inks where they are at hand, and on synthetic ones."""
        corpora: dict[str, Callable[[], list[RawInk]]] = {}
        raw = real_data()
        if raw is not None:
            corpora["CROHME"] = partial(crohme_inks, raw)
        corpora["synthetic"] = partial(synthetic_inks, self.effort.synthetic_inks, folder=self.folder / "generated")
        for place, (name, load) in enumerate(corpora.items()):
            inks = load()
            if set(self.parts) & {Part.COMPARE, Part.STEPS, Part.PLAN, Part.TRAINING}:
                self._run_on(inks, name=name, is_first=place == 0)
            if place == 0:
                self._run_memory(inks, name=name)
                self._run_evaluation(raw, name=name)
                self._run_scoring(inks, name=name)

    def _run_on(self, inks: Sequence[RawInk], *, name: str, is_first: bool) -> None:
        """The parts that need shards. What does not depend on the inks is measured with the first kind only."""
        effort, pools, sizes = self.effort, self.pools, self.effort.sizes
        chosen = choose(inks, num_inks=sizes.num_inks)
        workspace, paths = compare.prepare(self.folder / name, chosen, sizes=sizes, cores=pools.one)
        if Part.COMPARE in self.parts:
            self._add(*compare.run(workspace, paths, inks=name, sizes=sizes, pools=pools))
        if Part.STEPS in self.parts:
            num_inks = sizes.num_inks * sizes.num_copies
            self._add(steps.run(workspace, inks=name, num_inks=num_inks, repeats=sizes.repeats, pools=pools))
        if Part.PLAN in self.parts and is_first:
            shards = stages.shards_of(workspace, height_px=training.HEIGHT_PX, width_px=training.WIDTH_PX)
            tiled, total = self.folder / "tiled", effort.planned_samples
            self._add(*plans.run(shards, folder=tiled, num_samples=total, repeats=sizes.repeats, pools=pools))
        if Part.TRAINING in self.parts and is_first:
            amount = {"num_steps": effort.training_steps, "repeats": sizes.repeats}
            self._add(*training.run(workspace, paths, inks=name, **amount, pools=pools))

    def _run_memory(self, inks: Sequence[RawInk], *, name: str) -> None:
        """On many inks; with `scale`, on ten times as many too."""
        effort = self.effort
        if Part.SCALE in self.parts:
            counts, repeats = effort.scale_inks, effort.sizes.repeats
            self._add(*memory.run(self.folder, inks, name=name, counts=counts, repeats=repeats))
        elif Part.MEMORY in self.parts:
            self._add(*memory.run(self.folder, inks, name=name, counts=effort.scale_inks[:1], repeats=1))

    def _run_evaluation(self, raw: Path | None, *, name: str) -> None:
        """On test inks of the same kind; a quick run has not the time for all of CROHME's."""
        if Part.EVALUATION in self.parts:
            folder, amount = self.folder / "evaluation", self.effort.exam
            if raw is None or amount.num_inks is not None:
                name, amount = "synthetic", replace(amount, num_inks=amount.num_inks or self.effort.synthetic_inks)
            self._add(*evaluation.run(folder, raw=raw, inks=name, amount=amount, pools=self.pools))

    def _run_scoring(self, inks: Sequence[RawInk], *, name: str) -> None:
        """On predictions made up from the labels of the inks."""
        if Part.SCORING in self.parts:
            amount = {"num_pairs": self.effort.scored_pairs, "repeats": min(3, self.effort.sizes.repeats)}
            self._add(*scoring.run(labels_of(inks), folder=self.folder / "scoring", name=name, **amount))

    def _add(self, measured: Sequence[Measured], targets: Sequence[Target] = ()) -> None:
        self.measured += measured
        self.targets += targets


def main(  # noqa: PLR0913  # the switches of a command
    only: Annotated[list[Part] | None, typer.Option(help="Measure only this; may be given several times.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny and once: to see that everything works.")] = False,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often each part is measured, in place of 5.")] = None,
    write_docs: Annotated[
        bool, typer.Option("--write-docs", help="Put the tables into docs/log/performance.md.")
    ] = False,
    results: Annotated[Path, typer.Option(help="Folder for the JSON and Markdown files.")] = RESULTS,
    show: Annotated[Path | None, typer.Option(help="Measure nothing: print the tables of this JSON file.")] = None,
) -> None:
    """Measure, print Markdown, and keep the results as JSON."""
    if show is not None:
        found = json.loads(show.read_text(encoding="utf-8"))
    else:
        parts = only or [part for part in Part if part is not Part.SCALE]
        effort = QUICK if quick else FULL
        if rounds is not None:
            sizes, exam = replace(effort.sizes, repeats=rounds), replace(effort.exam, repeats=rounds)
            effort = replace(effort, sizes=sizes, exam=exam)
        found = measure(parts, effort=effort)
        keep(found, results, is_quick=quick)
    report = tables.markdown(found)
    print(report)
    if write_docs:
        tables.write_into(DOCUMENT, report)


def measure(parts: Sequence[Part], *, effort: Effort) -> dict[str, Any]:
    """Run the parts; everything found, as plain JSON values."""
    about = machine.describe()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="latexify-bench-")))
        bench = Bench(effort=effort, parts=parts, folder=folder, pools=stack.enter_context(open_pools()))
        bench.run()
    return {
        "machine": about,
        "settings": {"command": " ".join(["python -m benchmarks", *sys.argv[1:]]), "repeats": effort.sizes.repeats},
        "measured": [asdict(row) for row in bench.measured],
        "targets": [asdict(target) for target in bench.targets],
    }


def keep(found: dict[str, Any], folder: Path, *, is_quick: bool) -> None:
    """Write ``DATE-COMMIT.json`` and the same as Markdown; a quick run is not worth keeping, and takes one name."""
    about = found["machine"]
    name = "quick" if is_quick else f"{about['date'].partition(' ')[0]}-{about['commit']}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / f"{name}.md").write_text(tables.markdown(found), encoding="utf-8")
