"""Markdown tables of docs/results.json, and writing them into the documents.

A document names a table with two marks on lines of their own, `<!-- results: NAME -->` and `<!-- /results -->`. What
is between them is replaced.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from latexify.common.errors import LatexifyError
from latexify.eval.metrics.registry import METRICS
from latexify.eval.metrics.reliability import expected_error

RESULTS_PATH = Path("docs/results.json")
CARD = Path("models/crohme-small/README.md")
DEFAULT = "constrained, greedy"
BEAMS = "constrained, 3 beams"
DRAWINGS = "constrained, 3 beams, 7 drawings"
TRAINING = "6.2 hours on 1 to 2 CPU cores"
"""Of the shipped model: all its rounds, see docs/log/results.md."""
_BLOCK = re.compile(r"^<!-- results: (?P<name>[\w-]+) -->\n.*?^<!-- /results -->$", re.MULTILINE | re.DOTALL)

Results = Mapping[str, Any]


def write_documents(root: Path) -> list[Path]:
    """Rewrite the tables of all documents below `root`, and return those that changed."""
    changed = []
    for path, text in current_documents(root).items():
        if path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def current_documents(root: Path) -> dict[Path, str]:
    """Return what README.md, the pages below docs/ and the shipped model's card should be."""
    results = json.loads((root / RESULTS_PATH).read_text(encoding="utf-8"))
    paths = [root / "README.md", *sorted((root / "docs").rglob("*.md")), root / CARD]
    texts = {path: _with_tables(path.read_text(encoding="utf-8"), results, path=path) for path in paths}
    texts[root / CARD] = _with_front_matter(texts[root / CARD], results)
    return texts


def _with_tables(text: str, results: Results, *, path: Path) -> str:
    def table(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in TABLES:
            raise LatexifyError(f"{path}: there is no table {name!r}; there are: {', '.join(TABLES)}")
        return f"<!-- results: {name} -->\n" + "\n".join(TABLES[name](results)) + "\n<!-- /results -->"

    return _BLOCK.sub(table, text)


def _with_front_matter(text: str, results: Results) -> str:
    """The model card with the figures that the Hub shows beside the model."""
    for metric in METRICS:
        if metric.hub_name is not None:
            value = round(100 * results["decodings"][DEFAULT][metric.name]["value"], 2)
            text = re.sub(rf"(- type: {metric.hub_name}\n\s+value: )[\d.]+", rf"\g<1>{value}", text)
    return text


def _overview(results: Results) -> Iterator[str]:
    """The README's table."""
    yield "| test data | model | training | decoding | character CER | exact match |"
    yield "|---|---|---|---|---:|---:|"
    num_parameters = results["model"]["num_parameters"]
    for name, score in results["decodings"].items():
        if score["is_constrained"]:
            yield (
                f"| {results['test_set']['name']}, {results['test_set']['num_inks']} human-written inks | "
                f"`models/{results['model']['name']}`, {num_parameters / 1e6:.1f} M parameters, shipped | {TRAINING} | "
                f"{name} | {_percent(score['cer']['value'])} | {_percent(score['exact_match']['value'])} |"
            )
    for row in results["recorded"]:
        yield (
            f"| {row['test_data']} | {row['model']} | {row['training']} | {row['decoding']} | {_percent(row['cer'])} | "
            f"{_percent(row['exact_match'])} |"
        )


def _headline(results: Results) -> Iterator[str]:
    """The README's sentence about the shipped model: one drawing, and several that vote."""
    model, decodings = results["model"], results["decodings"]
    one, several = (_percent(decodings[name]["exact_match"]["value"]) for name in (BEAMS, DRAWINGS))
    yield (
        f"- **Small and accurate.** The shipped model has {model['num_parameters'] / 1e6:.0f} million parameters. "
        f"Of the {results['test_set']['num_inks']} formulas of {results['test_set']['name']} it recognises {one} "
        f"exactly with three beams, and {several} if seven drawings of each formula vote."
    )


def _decodings(results: Results) -> Iterator[str]:
    """All figures by decoding, with their intervals."""
    wanted = ("exact_match", "exact_match_field", "within_1", "within_2", "token_cer", "cer")
    names = [name for name in wanted if all(name in score for score in results["decodings"].values())]
    titles = {metric.name: metric.title for metric in METRICS}
    yield f"| {results['test_set']['num_inks']} test inks, decoding | {' | '.join(titles[name] for name in names)} |"
    yield "|---|" + "---:|" * len(names)
    for decoding, score in results["decodings"].items():
        yield f"| {decoding} | {' | '.join(_with_interval(score[name]) for name in names)} |"
    yield ""
    yield from _provenance(results)


def _decoding_effects(results: Results) -> Iterator[str]:
    """What constraining and beams change."""
    yield "| decoding | can be typeset | CER | exact match | cut off | calibration error | without calibration |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for decoding, score in results["decodings"].items():
        rates = [score["render_rate"]["value"], score["cer"]["value"], score["exact_match"]["value"]]
        errors = [expected_error(score["calibration"]), score["calibration"]["error_raw"]]
        cells = [*map(_percent, rates), str(score["num_unfinished"]), *map(_percent, errors)]
        yield f"| {decoding} | {' | '.join(cells)} |"


def _card_figures(results: Results) -> Iterator[str]:
    """The model card's figures, of the default decoding."""
    score = results["decodings"][DEFAULT]
    constant = score["constant_answer"]
    yield (
        f"On {results['test_set']['name']} ({score['num_samples']:,} formulas), on normalised LaTeX (normaliser "
        f"version {score['normalizer_version']}), with the default decoding ({DEFAULT}) and 95 % bootstrap intervals:"
    )
    yield ""
    yield "| figure | value | from | to |"
    yield "|---|---:|---:|---:|"
    for metric in METRICS:
        rate = score.get(metric.name)
        if metric.on_card and rate is not None and rate["value"] is not None:
            yield f"| {metric.title} | {' | '.join(_percent(rate[end]) for end in ('value', 'low', 'high'))} |"
    yield ""
    yield (
        f"The best constant answer, chosen with knowledge of the references, has a character error rate of "
        f"{_percent(constant['cer'])} (`{constant['answer']}`)."
    )
    yield ""
    yield from _provenance(results)


def _slices(title: str) -> Callable[[Results], Iterator[str]]:
    def table(results: Results) -> Iterator[str]:
        yield f"| {title} | formulas | character CER | exact match |"
        yield "|---|---:|---:|---:|"
        for row in results["slices"][title]:
            rates = f"{_percent(row['cer'])} | {_percent(row['exact_match'])}"
            yield f"| {row['name']} | {row['num_samples']:,} | {rates} |"

    return table


def _confusions(results: Results) -> Iterator[str]:
    mistakes = [f"{_mistake(row)} ({row['count']})" for row in results["slices"]["confusions"]]
    yield f"The most frequent errors, braces left out: {', '.join(mistakes)}."


def _mistake(row: Mapping[str, Any]) -> str:
    match row["kind"]:
        case "substituted":
            return f"`{row['reference']}` recognised as `{row['prediction']}`"
        case "missing":
            return f"`{row['reference']}` missing"
    return f"`{row['prediction']}` extra"


def _provenance(results: Results) -> Iterator[str]:
    facts = results["measured"]
    yield (
        f"Measured by `make results` on {facts['date']}, commit {facts['commit']}, {facts['cpus']} CPUs of "
        f"{facts['cpu']}; model fingerprint `{results['model']['fingerprint']}`."
    )


def _with_interval(rate: Mapping[str, float]) -> str:
    return f"{_percent(rate['value'])} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"


def _percent(share: float | None) -> str:
    return "n/a" if share is None else f"{100 * share:.1f} %"


TABLES: Mapping[str, Callable[[Results], Iterator[str] | Sequence[str]]] = {
    "overview": _overview,
    "headline": _headline,
    "decodings": _decodings,
    "decoding-effects": _decoding_effects,
    "card-figures": _card_figures,
    "by-length": _slices("symbols"),
    "by-structure": _slices("structure"),
    "confusions": _confusions,
}
