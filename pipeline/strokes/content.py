"""What is read from an ink file, whatever its format."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from latexify.pipeline.inks.ink import Stroke


@dataclass(frozen=True, slots=True, kw_only=True)
class InkFile:
    """The content of one ink file."""

    strokes: list[Stroke]  # in writing order, at least one, each of at least one point, all finite
    annotations: Mapping[str, str] = field(default_factory=dict)  # texts by type, such as the label under `truth`
    left_out: Mapping[str, int] = field(default_factory=dict)  # number of elements that are no strokes, by kind
