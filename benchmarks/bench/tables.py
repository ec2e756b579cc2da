"""Results as Markdown: from the JSON file alone, so that old results can be printed anew."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bench.measured import Measured, Target

BEGIN, END = "<!-- make bench: begin -->", "<!-- make bench: end -->"
"""What stands between these lines of docs/log/performance.md is written by `make bench`."""

TITLES = {
    "compare": "Inks per second",
    "ingest": "Steps of ingest, on one core",
    "rasterize": "Steps of rasterize at 384x384 px, on one core",
    "stream": "Steps of the stream of 384x384 px, on one core",
    "plan": "A million samples",
    "memory": "Time and peak memory, all cores",
    "training": "Training, all cores",
    "evaluation": "Evaluation, all cores",
    "scoring": "Scoring, all cores",
}


def markdown(results: Mapping[str, Any]) -> str:
    """The whole report of one run."""
    measured = [Measured(**row) for row in results["measured"]]
    targets = [Target(**row) for row in results["targets"]]
    blocks = [heading(results), target_table(targets)]
    for part in dict.fromkeys(row.part for row in measured):
        rows = [row for row in measured if row.part == part]
        blocks.append(f"### {TITLES[part]}\n\n{_table(rows)}")
    blocks.append(_noise(measured))
    return "\n\n".join(blocks) + "\n"


def heading(results: Mapping[str, Any]) -> str:
    """When, of which commit, by which command, on which machine, with which libraries, and how often."""
    machine, settings = results["machine"], results["settings"]
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    return (
        f"{machine['date']}, commit {machine['commit']}, `{settings['command']}`; {machine['cpus']} CPUs of "
        f"{machine['cpu']}, {machine['memory_gib']} GiB, {machine['system']}, load average before "
        f"{machine['load_average']:.1f}; {libraries}. {_rounds(settings['repeats'])}."
    )


def _rounds(repeats: int) -> str:
    return "Measured once" if repeats == 1 else f"Medians of {repeats} rounds"


def target_table(targets: Sequence[Target]) -> str:
    """What must be reached, and what is."""
    lines = ["| target | inks | must be | measured | |", "|---|---|---:|---:|---|"]
    for target in targets:
        sign = "≥" if target.at_least else "≤"
        verdict = "met" if target.is_met else "**not met**"
        limit, value = (_with_unit(number, target.unit) for number in (target.limit, target.value))
        lines.append(f"| {target.name} | {target.inks} | {sign} {limit} | {value} | {verdict} |")
    return "\n".join(lines)


def _with_unit(value: float, unit: str) -> str:
    match unit:
        case "x":
            return f"{value:.1f}x"
        case "share" | "%":
            return f"{value * (100 if unit == 'share' else 1):.1f} %"
        case _:
            return f"{number(value)} {unit}"


def number(value: float) -> str:
    """Three digits are all that a timing is worth."""
    if value == 0:
        return "0"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def _table(rows: Sequence[Measured]) -> str:
    """A row for each name, a column for each pair of inks and cores; in tables of costs, a column of shares too."""
    columns = list(dict.fromkeys((row.inks, row.cores) for row in rows))
    found = {(row.name, row.inks, row.cores): row for row in rows}
    is_cost = all(row.unit == "µs/ink" for row in rows)
    heads = [_head(inks, cores) for inks, cores in columns]
    if is_cost:
        heads = [part for head in heads for part in (f"{head}, µs/ink", "share")]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for name in dict.fromkeys(row.name for row in rows):
        cells = []
        for inks, cores in columns:
            row = found.get((name, inks, cores))
            cells.append(_cell(row, is_bare=is_cost))
            if is_cost:
                whole = sum(other.median for other in rows if (other.inks, other.cores) == (inks, cores))
                cells.append(f"{row.median / whole:.0%}" if row else "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _head(inks: str, cores: int) -> str:
    return ", ".join(filter(None, (inks, f"{cores} core{'s' if cores > 1 else ''}")))


def _cell(row: Measured | None, *, is_bare: bool) -> str:
    if row is None:
        return ""
    return number(row.median) if is_bare or row.unit == "inks/s" else _with_unit(row.median, row.unit)


def _noise(measured: Sequence[Measured]) -> str:
    spreads = [row.spread for row in measured if len(row.values) > 1]
    if not spreads:
        return "One round each: nothing is known of the noise."
    return (
        f"Noise: the middle half of a figure's rounds lies within {statistics.median(spreads):.0%} of its median for "
        f"half of all figures, within {max(spreads):.0%} for all. Ratios are taken round by round."
    )


def write_into(document: Path, report: str, *, begin: str = BEGIN, end: str = END) -> None:
    """Replace what stands between the two marks of a Markdown file. Raises ValueError where it lacks them."""
    text = document.read_text(encoding="utf-8")
    before, first, rest = text.partition(begin)
    _, last, after = rest.partition(end)
    if not first or not last:
        raise ValueError(f"{document} lacks the lines {begin} and {end}")
    document.write_text(f"{before}{begin}\n\n{report}\n{end}{after}", encoding="utf-8")
