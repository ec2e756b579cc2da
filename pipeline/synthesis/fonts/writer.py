"""Imaginary writers: their pen, their spacing, and their form of every glyph."""

from dataclasses import dataclass

import numpy as np

from latexify.pipeline.synthesis.fonts.glyphs import rounded, variants
from latexify.pipeline.synthesis.typeset.boxes import Glyph, glyph_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A writer's habits. Lengths are in capital heights unless the name says otherwise."""

    # the pen and the page
    capital_px: float
    aspect: float  # width over height of everything written, against the glyphs' own
    slant: float  # horizontal shift per height
    rotation_rad: float
    drift: float  # height of the baseline's slow waves
    tremor: float  # size of the smooth noise along strokes
    unsteadiness: float  # how much one instance of a glyph differs from the next
    roundness: float  # radius by which corners are rounded
    spacing_px: float  # distance between samples at full speed
    interval_ms: float  # time between samples
    hesitation: float  # how much the pen slows towards the ends of a stroke, 0 to 1
    # glyphs
    personality: float  # how far this writer's glyphs are from the model glyphs
    second_form: float  # share of a glyph's instances in the writer's second-best form
    # layout
    letter_gap: float
    binary_gap: float
    relation_gap: float
    script_scale: float
    superscript_rise: float
    subscript_drop: float
    fraction_scale: float
    rule_gap: float
    rule_overhang: float
    operator_scale: float
    limits_beside: bool


def draw_style(rng: np.random.Generator) -> Style:
    """Draw the habits of one writer."""
    uniform = rng.uniform
    return Style(
        capital_px=uniform(38, 105),
        aspect=uniform(0.85, 1.25),
        slant=float(np.clip(rng.normal(0.08, 0.13), -0.22, 0.4)),
        rotation_rad=float(np.clip(rng.normal(0, 0.02), -0.05, 0.05)),
        drift=uniform(0, 0.06),
        tremor=uniform(0.006, 0.022),
        unsteadiness=uniform(0.3, 1.0),
        roundness=uniform(0.02, 0.075),
        spacing_px=uniform(3.0, 8.0),
        interval_ms=uniform(8, 17),
        hesitation=uniform(0.3, 0.85),
        personality=uniform(0.3, 1.0),
        second_form=float(rng.choice([0.0, 0.05, 0.25])),
        letter_gap=uniform(0.11, 0.24),
        binary_gap=uniform(0.1, 0.3),
        relation_gap=uniform(0.18, 0.45),
        script_scale=uniform(0.56, 0.72),
        superscript_rise=uniform(0.5, 0.72),
        subscript_drop=uniform(0.16, 0.36),
        fraction_scale=uniform(0.8, 1.0),
        rule_gap=uniform(0.14, 0.26),
        rule_overhang=uniform(0.04, 0.22),
        operator_scale=uniform(1.15, 1.6),
        limits_beside=bool(rng.random() < 0.2),
    )


class ImaginaryWriter:
    """A style, and the writer's own forms of every terminal, which are made when first needed.

    Equal seeds and numbers give the same writer, whatever is written first.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._seed = (seed, number)
        self.style = draw_style(np.random.default_rng((seed, number)))
        self._forms: dict[tuple[str, bool], Glyph] = {}

    def glyph(self, token: str, chance: float) -> Glyph:
        """A form of a terminal; `chance`, uniform in [0, 1), decides between the writer's first and second form."""
        second = chance < self.style.second_form
        form = self._forms.get((token, second))
        if form is None:
            models = variants(token)
            preferences = np.random.default_rng((*self._seed, *token.encode())).permutation(len(models))
            rng = np.random.default_rng((*self._seed, second, *token.encode()))
            form = self._forms[token, second] = self._personal(models[preferences[second % len(models)]], rng)
        return form

    def _personal(self, model: Glyph, rng: np.random.Generator) -> Glyph:
        """The model glyph, bent a little: stretched, sheared, and pushed along slow waves across its height."""
        style = self.style
        stretch = 1 + 0.07 * style.personality * rng.standard_normal(2)
        shear = 0.05 * style.personality * rng.standard_normal()
        bend = 0.022 * style.personality * rng.standard_normal(4)
        phase = rng.uniform(0, 2 * np.pi, 4)
        strokes = []
        for outline in model.strokes:
            x, y = rounded(outline, style.roundness).T
            bent_x = x + bend[0] * np.sin(4 * y + phase[0]) + bend[1] * np.sin(7 * x + phase[1])
            bent_y = y + bend[2] * np.sin(4 * x + phase[2]) + bend[3] * np.sin(6 * y + phase[3])
            strokes.append(np.column_stack([(bent_x - shear * y) * stretch[0], bent_y * stretch[1]]))
        return glyph_of(model.token, strokes)
