"""Imaginary writers: their pen, their spacing, and their form of every glyph of the stroke fonts."""

from random import Random

import numpy as np

from latexify.pipeline.synthesis.fonts.glyphs import resample, rounded, variants
from latexify.pipeline.synthesis.formulas.expression import Scripts, token_of
from latexify.pipeline.synthesis.formulas.symbols import BIG_OPERATORS, FRACTION_BAR, INTEGRALS, LIMITS, NAMED, RADICAL
from latexify.pipeline.synthesis.typeset.boxes import Box, Glyph, Placed, beside, glyph_of
from latexify.pipeline.synthesis.typeset.layout import FractionLayout, RootLayout, ScriptLayout

AXIS = 0.38
"""Height of the math axis above the baseline: where bars and plus signs are centred."""
_GAPS = {"letter_gap": 0.0, "nested_gap": 0.0, "argument_gap": 0.0, "comma_gap": 0.14, "function_gap": 0.24}
_CELLS = {"cell_scale": 0.9, "cell_gap": 0.55, "row_gap": 0.32, "cell_descent": 0.05}
_MEASURES = {"axis": AXIS, "limit_shift": 0.0, "limit_gap": 0.16, "index_scale": 0.55, **_GAPS, **_CELLS}
"""Measures that all writers share; `_GAPS` are between neighbours, beyond the gap of letters."""


_OF_EACH_LINE = {"line_indent": 0.15, "line_slope": 0.012}
"""Standard deviations of measures that differ from line to line, in capital heights, and in y per x."""


class Style:
    """The habits of one writer, drawn by `rng`. Lengths are in capital heights unless the name says otherwise."""

    def __init__(self, rng: np.random.Generator) -> None:
        uniform = rng.uniform
        # the pen and the page
        self.capital_px = uniform(38, 105)
        self.aspect = uniform(0.85, 1.25)  # width over height of everything written, against the glyphs' own
        self.slant = float(np.clip(rng.normal(0.08, 0.13), -0.22, 0.4))  # horizontal shift per height
        self.rotation_rad = float(np.clip(rng.normal(0, 0.02), -0.05, 0.05))
        self.drift = uniform(0, 0.06)  # height of the baseline's slow waves
        self.tremor = uniform(0.006, 0.022)  # size of the smooth noise along strokes
        self.unsteadiness = uniform(0.3, 1.0)  # how much one instance of a glyph differs from the next
        self.roundness = uniform(0.02, 0.075)  # radius by which corners are rounded
        self.spacing_px = uniform(3.0, 8.0)  # distance between samples at full speed
        self.interval_ms = uniform(8, 17)  # time between samples
        self.hesitation = uniform(0.3, 0.85)  # how much the pen slows towards the ends of a stroke, 0 to 1
        # glyphs
        self.personality = uniform(0.3, 1.0)  # how far this writer's glyphs are from the model glyphs
        self.second_form = float(rng.choice([0.0, 0.05, 0.25]))  # share of instances in the second-best form
        # layout
        self.letter_gap = uniform(0.11, 0.24)
        self.binary_gap = uniform(0.1, 0.3)
        self.relation_gap = uniform(0.18, 0.45)
        self.script_scale = uniform(0.56, 0.72)
        self.superscript_rise = uniform(0.5, 0.72)
        self.subscript_drop = uniform(0.16, 0.36)
        self.fraction_scale = uniform(0.8, 1.0)
        self.rule_gap = uniform(0.14, 0.26)
        self.rule_overhang = uniform(0.04, 0.22)
        self.operator_scale = uniform(1.15, 1.6)
        self.limits_beside = bool(rng.random() < 0.2)
        # several lines; drawn last, so that the rest does not depend on them
        self.line_gap = uniform(0.35, 1.2)
        self.line_anchor = float(rng.choice([0.0, 0.0, 0.5]))


class ImaginaryWriter:
    """A style, and the writer's own forms of every terminal, which are made when first needed.

    Equal seeds and numbers give the same writer, whatever is written first.
    """

    def __init__(self, seed: int, number: int) -> None:
        self._seed = (seed, number)
        self.style = Style(np.random.default_rng((seed, number)))
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


class FontHand:
    """A `typeset.layout.Hand`. rng: decides between the forms of a glyph, and varies gaps."""

    smallest = 0.38

    def __init__(self, writer: ImaginaryWriter, rng: Random) -> None:
        self._writer, self._style, self._rng = writer, writer.style, rng
        style = writer.style
        self._measures = {
            **_MEASURES,
            **dict.fromkeys(("subscript_scale", "superscript_scale", "limit_scale"), style.script_scale),
            "fraction_scale": style.fraction_scale,
            "bracket_gap": 0.6 * style.letter_gap,
            "bar_gap": 0.8 * style.letter_gap,
            "binary_gap": style.binary_gap,
            "relation_gap": style.relation_gap,
            "line_anchor": style.line_anchor,
        }

    def _glyph(self, token: str) -> Glyph:
        return self._writer.glyph(token, self._rng.random())

    def symbol(self, token: str, size: float) -> Box:
        """Write a symbol; the name of a function letter by letter, a big operator enlarged and on the axis."""
        if token in NAMED:
            boxes = [Placed(self._glyph(letter), 0.0, 0.0, size, size).box for letter in token[1:]]
            return beside(boxes, [0.75 * self._style.letter_gap * size] * (len(boxes) - 1))
        glyph, y = self._glyph(token), 0.0
        if token in BIG_OPERATORS + INTEGRALS:
            y = -AXIS * size
            size *= self._style.operator_scale
            y -= size * (glyph.top + glyph.bottom) / 2
        return Placed(glyph, 0.0, y, size, size).box

    def bracket(self, token: str, body: Box, size: float) -> Box:
        """Write a bracket that is centred on the axis, stretched if the body asks for more than it has."""
        axis = AXIS * size
        reach = max(body.ascent - axis, body.descent + axis) + 0.06 * size
        glyph = self._glyph(token)
        tall = max(size, 2 * reach / (glyph.bottom - glyph.top))
        y, width = -axis - tall * (glyph.top + glyph.bottom) / 2, size * min(1.6, (tall / size) ** 0.4)
        return Placed(glyph, 0.0, y, width, tall).box

    def __getitem__(self, name: str) -> float:
        if name in _OF_EACH_LINE:
            return self._rng.gauss(0.0, _OF_EACH_LINE[name])
        if name == "line_gap":
            return self._style.line_gap * self._rng.uniform(0.8, 1.2)
        return self._measures[name]

    def gap(self, name: str, size: float) -> float:
        """Vary a gap. TeX drops the space around operators in scripts; people keep some."""
        looseness = 1.0 if size > 0.8 else 0.4
        return (self._style.letter_gap + looseness * self._measures[name]) * size * self._rng.uniform(0.85, 1.15)

    def takes_limits(self, node: Scripts) -> bool:
        """Whether scripts stand below and above their base."""
        token = token_of(node)
        return token in LIMITS or (token in BIG_OPERATORS and not self._style.limits_beside)

    def scripts(self, node: Scripts, base: Box, sub: Box | None, sup: Box | None, size: float) -> ScriptLayout:
        """Locate scripts; the lower one of an integral stands further left, under its slanted foot."""
        style, right = self._style, base.width + 0.7 * self._style.letter_gap * size
        rise = drop = 0.0
        if sup is not None:
            rise = max(style.superscript_rise * size, base.ascent - 0.38 * size, sup.descent + 0.36 * size)
        if sub is not None:
            drop = max(style.subscript_drop * size, base.descent + 0.12 * size, sub.ascent - 0.42 * size)
        if sub is not None and sup is not None:
            drop += max(0.0, 0.12 * size - (rise - sup.descent + drop - sub.ascent))
        tuck = 0.35 * base.width if token_of(node) in INTEGRALS else 0.0
        frame = Box(right, max(base.ascent, 0.0), max(base.descent, 0.0), base.glyphs)
        return ScriptLayout(frame, (right - tuck, drop), (right, -rise))

    def fraction(self, widest: float, size: float) -> FractionLayout:
        """Measure a fraction."""
        gap, overhang, axis = self._style.rule_gap * size, self._style.rule_overhang * size, AXIS * size
        width = widest + 2 * overhang
        bar = _drawn(FRACTION_BAR, [(0.0, -axis), (width, -axis)]).box
        side = 0.06 * size
        return FractionLayout(bar, overhang, axis + gap, gap - axis, side, side, is_bar_first=False)

    def root(self, body: Box, size: float) -> RootLayout:
        """Measure a root."""
        gap, hook = 0.16 * size, 0.2 * size
        top = -max(body.ascent + gap, 0.9 * size)
        foot = max(body.descent, 0.0) + 0.06 * size
        middle = foot + 0.5 * (top - foot)
        start = hook + 0.34 * size
        lead = start + gap / 2
        width = lead + body.width + 0.1 * size

        def sign(left: float) -> Placed:
            tick = [(0.0, middle + 0.08 * size), (0.4 * hook, middle), (hook + 0.02 * size, foot)]
            return _drawn(RADICAL, [(left + x, y) for x, y in (*tick, (start, top), (width, top))])

        return RootLayout(top, foot, lead, width, hook, middle - 0.1 * size, 0.6 * size, sign)


def _drawn(token: str, corners: list[tuple[float, float]]) -> Placed:
    """A pen line through these corners. It turns about the origin, not about its own left edge."""
    return Placed(glyph_of(token, [resample(np.array(corners))], keep_left=True), 0.0, 0.0, 1.0, 1.0)
