"""The pictures that a model reads, as its folder describes them; needs neither torch nor transformers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How to draw an ink for a model. All values are in pixels.

    max_stroke_px: Upper limit of the size of an ink's median stroke; None: every ink fills the canvas.
    """

    height_px: int
    width_px: int
    margin_px: float
    pen_width_px: float
    max_stroke_px: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Make a geometry from the parameters of the shards, or from ``latexify.json``."""
        return cls(**{name: params[name] for name in cls.__dataclass_fields__ if name in params})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)
