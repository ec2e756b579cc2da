"""The pictures that a model reads, as its folder describes them; needs neither torch nor transformers."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

from latexify.artifacts.names import GEOMETRY_NAME
from latexify.common.errors import first_line


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """How to draw an ink for a model, and what to do with pictures. All numbers are in pixels."""

    height_px: int
    width_px: int
    margin_px: float
    pen_width_px: float
    max_stroke_px: float | None = None  # upper limit of an ink's median stroke; None: every ink fills the canvas
    pictures: Literal["traced", "fitted"] = "traced"  # whether pictures are traced and drawn, or fitted as they are
    width_step_px: int | None = None  # pictures are as wide as their ink needs, in such steps; None: all are equal
    height_step_px: int | None = None  # the same for their height

    @property
    def steps_px(self) -> tuple[int, int]:
        """Steps of height and width of a picture; where pictures do not differ, the canvas's."""
        return self.height_step_px or self.height_px, self.width_step_px or self.width_px

    @property
    def has_sizes(self) -> bool:
        """Whether pictures may differ in size."""
        return self.steps_px != (self.height_px, self.width_px)

    def a_step_larger(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Return height and width of a picture with a step more on each side; at most the canvas's."""
        height_step_px, width_step_px = self.steps_px
        return min(height_px + height_step_px, self.height_px), min(width_px + width_step_px, self.width_px)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Self:
        """Make a geometry from the parameters of the shards, or from ``latexify.json``."""
        return cls(**{name: params[name] for name in cls.__dataclass_fields__ if name in params})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        values = asdict(self)
        for name in ("width_step_px", "height_step_px"):
            if values[name] is None:
                del values[name]  # as before there were steps, so that fingerprints stay
        if self.pictures == "traced":
            del values["pictures"]  # the same
        return values


def read_geometry(model: Path) -> Geometry:
    """Read the geometry of a model folder. Raises OSError or ValueError if it is missing or damaged."""
    params = json.loads((model / GEOMETRY_NAME).read_text(encoding="utf-8"))
    try:
        geometry = Geometry.from_params(params)
        is_usable = min(geometry.height_px, geometry.width_px) > 0
    except TypeError as error:
        raise ValueError(f"{GEOMETRY_NAME}: {first_line(error).removeprefix('Geometry.__init__() ')}") from None
    if not is_usable:
        raise ValueError(f"{GEOMETRY_NAME}: a canvas of {geometry.height_px}x{geometry.width_px} pixels")
    return geometry
