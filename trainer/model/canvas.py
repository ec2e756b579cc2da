"""What a model folder says of the pictures that its model reads; needs neither torch nor transformers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """The picture that the model was trained on, enough to draw an ink for it. All in pixels.

    max_stroke_px: how large an ink's usual stroke is at most; None: every ink fills the canvas.
    """

    height_px: int
    width_px: int
    margin_px: float
    pen_width_px: float
    max_stroke_px: float | None = None

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Take what is needed from the parameters of the shards, or from ``latexify.json``."""
        return cls(**{name: params[name] for name in cls.__dataclass_fields__ if name in params})

    def to_dict(self) -> dict[str, float | None]:
        """Plain JSON values."""
        return asdict(self)
