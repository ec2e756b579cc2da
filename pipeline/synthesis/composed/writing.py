"""A set expression as strokes on a page, and as InkML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from latexify.pipeline.synthesis.composed.boxes import Box

Floats = npt.NDArray[np.float64]

METHOD = "composed"
"""What the annotation `inkCreationMethod` of a composed ink says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How a writer holds the pen: what one affine map of the whole ink can say, and how steady the hand is.

    size_px: of a capital. aspect: width over height. slant: shift per height. rotation_rad: of the line. drift: height,
    in capitals, of the baseline's slow wave. turn_rad, change: variation of each symbol's angle and size.
    """

    size_px: float
    aspect: float
    slant: float
    rotation_rad: float
    drift: float
    turn_rad: float
    change: float


def draw_page(writer: np.random.Generator, ink: np.random.Generator, *, variation: float) -> Page:
    """The page of one ink: the writer's way, a little otherwise each time. variation: 0 keeps what was written."""
    own, here = writer.standard_normal(4), ink.standard_normal(4)
    changes = variation * np.clip(own + 0.6 * here, -2.2, 2.2)
    return Page(
        size_px=float(60 * np.exp(0.3 * changes[0])),
        aspect=float(np.exp(0.07 * changes[1])),
        slant=float(0.05 * changes[2]),
        rotation_rad=float(0.018 * changes[3]),
        drift=float(0.05 * variation * writer.random()),
        turn_rad=0.03 * variation,
        change=0.035 * variation,
    )


def strokes_of(box: Box, page: Page, rng: np.random.Generator) -> tuple[Floats, list[int]]:
    """The points of all strokes, in px, y downward, and how many each stroke has."""
    glyphs = [placed.glyph for placed in box.glyphs]
    lengths = [length for glyph in glyphs for length in glyph.stroke_lengths]
    at = np.array([placed[1:] for placed in box.glyphs])
    extents = np.array([(glyph.width / 2, (glyph.top + glyph.bottom) / 2, glyph.width) for glyph in glyphs])
    noise = rng.standard_normal((len(glyphs), 3))
    scale = at[:, 2:] * (1 + page.change * noise[:, :2])
    # each turns about its own middle, and a wide one less: its ends would go astray
    middle = extents[:, :2]
    angle = page.turn_rad * noise[:, 2] / np.maximum(1.0, 2 * extents[:, 2] * at[:, 2])
    centre = at[:, :2] + middle * at[:, 2:]
    index = np.repeat(np.arange(len(glyphs)), [len(glyph.points) for glyph in glyphs])
    relative = (np.concatenate([glyph.points for glyph in glyphs]) - middle[index]) * scale[index]
    cos, sin = np.cos(angle)[index], np.sin(angle)[index]
    x = relative[:, 0] * cos - relative[:, 1] * sin + centre[index, 0]
    y = relative[:, 0] * sin + relative[:, 1] * cos + centre[index, 1]
    return _on_page(x, y, page, rng), lengths


def _on_page(x: Floats, y: Floats, page: Page, rng: np.random.Generator) -> Floats:
    y = y + page.drift * np.sin(rng.uniform(0.25, 0.7) * x + rng.uniform(0, 2 * np.pi))
    x = (x - page.slant * y) * page.aspect
    cos, sin = np.cos(page.rotation_rad), np.sin(page.rotation_rad)
    points = np.column_stack([x * cos - y * sin, x * sin + y * cos]) * page.size_px
    placed: Floats = points - points.min(axis=0) + rng.uniform(20, 80, 2)
    return placed


def inkml(points: Floats, lengths: Sequence[int], texts: Mapping[str, str], *, sample_id: str) -> bytes:
    """One InkML document, UTF-8, with `x y` in px. texts: label and writer, by the type of their annotation."""
    annotations = {**texts, "sampleId": sample_id, "splitTagOriginal": "train", "inkCreationMethod": METHOD}
    lines = ['<ink xmlns="http://www.w3.org/2003/InkML">']
    lines += [f'<annotation type="{name}">{escape(value)}</annotation>' for name, value in annotations.items()]
    lines.append('<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/></traceFormat>')
    pattern = "".join([f'<trace id="{number}">{_pattern(length)}</trace>\n' for number, length in enumerate(lengths)])
    # one format of all points together is several times faster than one a point
    lines.append(pattern % tuple(points.ravel().tolist()))
    return "\n".join([*lines, "</ink>\n"]).encode()


def _pattern(num_points: int) -> str:
    return ", ".join(["%.1f %.1f"] * num_points)
