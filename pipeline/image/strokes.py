"""Trace the ink of a grey picture to strokes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latexify.pipeline.image.binarize import binarize
from latexify.pipeline.image.components import label_components, usual_size
from latexify.pipeline.image.rectify import paper_of
from latexify.pipeline.image.skeleton import skeletonize
from latexify.pipeline.image.skew import turn_back
from latexify.pipeline.image.slim import slim
from latexify.pipeline.inks.ink import Stroke


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedPicture:
    """The strokes of a picture, at least one of at least one point, in pixels.

    stroke_scale: factor of the canvas's largest stroke. Traced lines are shorter than the pen's strokes.
    """

    strokes: list[Stroke]
    stroke_scale: float


def trace_picture(grey: npt.NDArray[np.uint8]) -> TracedPicture:
    """Trace the ink of a picture, uint8 [height, width]. Raises PictureError if it is blank."""
    drawn, drawn_px = binarize(paper_of(grey))
    mask, width_px = slim(drawn, drawn_px)
    strokes = skeletonize(mask, width_px=width_px)
    if mask is drawn:  # the lines of slimmed strokes lean where strokes overlapped, and say nothing of the paper
        strokes = turn_back(strokes, label_components(mask).boxes)
    return TracedPicture(strokes=strokes, stroke_scale=_traced_size_fraction(strokes, mask, width_px))


def _traced_size_fraction(strokes: list[Stroke], mask: npt.NDArray[np.bool_], width_px: float) -> float:
    """Median size of the traced lines as a fraction of the median size of the pen's strokes.

    Traced lines end where strokes cross. Connected components are closer to what the pen drew in one go.
    """
    traced = np.array([np.ptp(stroke, axis=0).max() for stroke in strokes])
    traced, drawn = traced[traced > 0], usual_size(label_components(mask), width_px)
    return float(np.median(traced) / drawn) if len(traced) and drawn is not None else 1.0
