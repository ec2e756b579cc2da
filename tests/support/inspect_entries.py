"""Entries as `latexify inspect` lists them."""

from latexify.pipeline.inspect.entry import Entry


def entry(key: str, label: str, **facts: object) -> Entry:
    """An entry of a training ink."""
    return Entry(key=key, label=label, **{"split": "train", **facts})  # type: ignore[arg-type]


ENTRIES = [
    entry("a", r"\frac{1}{2}", num_tokens=7, num_strokes=4, extent=(10.0, 1.0)),
    entry("b", "x+y", num_tokens=3, num_strokes=9, extent=(200.0, 100.0)),
    entry("c", r"\dfrac1", num_tokens=3, num_strokes=2, extent=(3.0, 0.0), split="test"),
    entry("d", "xy", source="archive/folder/d.inkml"),
]
