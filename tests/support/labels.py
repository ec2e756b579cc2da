"""The labels of real inks, as they are found."""

import re
from pathlib import Path

from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inputs.archives import iter_members

LIMITS = {"max_file_bytes": 1_000_000, "max_points": 100_000}
_TRACES = re.compile(rb"<trace\b[^>]*>[^<]*</trace>")


def crohme_labels(real_data: Path) -> list[str]:
    """Return the labels of CROHME's training inks; inks that cannot be parsed have none. Strokes are not parsed."""
    labels = []
    for member in iter_members(real_data / "crohme" / "train.tar.xz", max_bytes=LIMITS["max_file_bytes"]):
        if member.data is None or not member.name.endswith(".inkml"):
            continue
        short = _TRACES.sub(b"", member.data).replace(b"</ink>", b"<trace>0 0, 1 1</trace></ink>")
        try:
            label = parse_inkml(short, **LIMITS).annotations.get("truth")
        except UnusableInkError:
            continue
        if label:
            labels.append(label)
    return labels
