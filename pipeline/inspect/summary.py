"""Text summaries of entries."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from latexify.pipeline.inspect.entry import Entry
from latexify.pipeline.latex import tokenize

NUM_TOKENS_SHOWN = 15
NUM_SOURCES_SHOWN = 8


def summary_lines(entries: Sequence[Entry]) -> Iterator[str]:
    """Yield lines on splits, sources, lengths, sizes, tokens and faults of the entries."""
    good = [entry for entry in entries if entry.reason is None]
    datasets = Counter(entry.dataset for entry in entries if entry.dataset)
    if datasets:
        yield _line("datasets", _counts(datasets.items()))
    splits = Counter(entry.split for entry in good if entry.split)
    if splits:
        yield _line("splits", _counts(splits.items()))
    sources = Counter(_top(entry) for entry in entries if _top(entry))
    if len(sources) > 1:
        yield _line("sources", _counts(sources.most_common(NUM_SOURCES_SHOWN), total=len(sources)))
    unit = "token ids" if any(entry.has_ids for entry in good) else "LaTeX tokens"
    yield from _quantiles(unit, [entry.num_tokens for entry in good])
    yield from _quantiles("strokes", [entry.num_strokes for entry in good])
    yield from _quantiles("points", [entry.num_points for entry in good])
    extents = [entry.extent for entry in good if entry.extent is not None]
    yield from _quantiles("width (own units)", [width for width, _ in extents])
    yield from _quantiles("height (own units)", [height for _, height in extents])
    yield from _quantiles("width / height", [width / height if height else None for width, height in extents])
    yield from _quantiles("bytes a picture", [entry.num_bytes for entry in good])
    yield from _tokens(good)
    yield from _faults([entry for entry in entries if entry.reason is not None], total=len(entries))


def entry_line(entry: Entry) -> str:
    """Describe one entry in one line."""
    parts = [entry.key, entry.label, *sizes_of(entry), fault_of(entry)]
    return "  ".join(part for part in parts if part)


def sizes_of(entry: Entry) -> list[str]:
    """List the sizes of an entry with their units."""
    parts = []
    if entry.num_tokens is not None:
        parts.append(f"{entry.num_tokens} {'ids' if entry.has_ids else 'tokens'}")
    if entry.num_strokes is not None:
        parts.append(f"{entry.num_strokes} strokes")
    if entry.extent is not None:
        parts.append(" x ".join(f"{side:.3g}" if side < 1000 else f"{side:.0f}" for side in entry.extent))
    if entry.num_bytes is not None:
        parts.append(f"{entry.num_bytes} B")
    return parts


def fault_of(entry: Entry) -> str | None:
    """Return why an entry was rejected, None if it was not."""
    return f"{entry.reason}: {entry.fault}" if entry.reason is not None else None


def _line(name: str, text: str) -> str:
    return f"  {name:<20} {text}"


def _counts(counts: Iterable[tuple[str | None, int]], *, total: int = 0) -> str:
    shown = [f"{name} {number:,}" for name, number in counts]
    more = [f"… {total} in all"] if total > len(shown) else []
    return ", ".join(shown + more)


def _top(entry: Entry) -> str:
    """Archive and first folder of an entry's source."""
    return "/".join(entry.source.split("/")[:-1][:2])


def _quantiles(name: str, values: Iterable[float | None]) -> Iterator[str]:
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    if len(known):
        quantiles = {"least": 0, "median": 0.5, "99 %": 0.99, "most": 1}
        found = np.quantile(known, list(quantiles.values()), method="nearest").tolist()
        numbers = (f"{word} {_number(value)}" for word, value in zip(quantiles, found, strict=True))
        yield _line(name, ", ".join(numbers))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 or value == int(value) else f"{value:.3g}"


def _tokens(entries: Sequence[Entry]) -> Iterator[str]:
    counts = Counter(token for entry in entries if entry.label is not None for token in tokenize(entry.label))
    del counts[" "]
    if not counts:
        return
    ranked = sorted(counts, key=lambda token: (-counts[token], token))
    yield _line("distinct tokens", f"{len(ranked)} in {sum(entry.label is not None for entry in entries):,} labels")
    yield _line("most frequent", _counts((token, counts[token]) for token in ranked[:NUM_TOKENS_SHOWN]))
    if len(ranked) > NUM_TOKENS_SHOWN:
        rarest = ranked[: NUM_TOKENS_SHOWN - 1 : -1][:NUM_TOKENS_SHOWN]
        yield _line("rarest", _counts((token, counts[token]) for token in rarest))


def _faults(entries: Sequence[Entry], *, total: int) -> Iterator[str]:
    """Counts by reason, each with an example."""
    if not entries:
        return
    yield _line("left out", f"{len(entries):,} of {total:,}")
    counts = Counter(entry.reason for entry in entries)
    for reason, number in counts.most_common():
        example = min((entry for entry in entries if entry.reason == reason), key=lambda entry: entry.source)
        yield f"    {reason:<18}{number:,}, such as {example.source or example.key}: {example.fault}"
