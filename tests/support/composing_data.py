"""A small dataset as CROHME writes it: labelled inks, divided into symbols by trace groups, of a few writers."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from xml.sax.saxutils import escape

from latexify.pipeline.synthesis.composed.formula import leaves, tree_of
from latexify.pipeline.synthesis.fonts.hand import FontHand, ImaginaryWriter
from latexify.pipeline.synthesis.formulas.expression import label as label_of
from latexify.pipeline.synthesis.formulas.generator import expression
from latexify.pipeline.synthesis.formulas.symbols import FRACTION_BAR
from latexify.pipeline.synthesis.typeset.layout import typeset

WRITERS = tuple(f"writer {number}" for number in range(9))
RADICAL_LABELS = ("\\sqrt{x}+1", "\\frac{a}{b}=2", "x^{2}+y^{2}=1", "\\sum_{i=1}^{n}i", "(a+b)(a-b)", "3x-4=5")


def divided_ink(label: str, *, writer: str, seed: int) -> bytes:
    """An ink of a label, written by a stroke font, with a trace group for every symbol and MathML that names them."""
    hand = FontHand(ImaginaryWriter(sum(map(ord, writer)), 1), Random(seed))
    traces: list[str] = []
    groups = []
    for index, placed in enumerate(typeset(tree_of(label), hand).glyphs):
        views = []
        for stroke in placed.glyph.strokes:
            points = ", ".join(
                f"{100 + 60 * (placed.x + placed.scale_x * x):.1f} {100 + 60 * (placed.y + placed.scale_y * y):.1f}"
                for x, y in stroke.tolist()
            )
            views.append(f'<traceView traceDataRef="{len(traces)}"/>')
            traces.append(f'<trace id="{len(traces)}">{points}</trace>')
        token = placed.glyph.token
        groups.append(("-" if token == FRACTION_BAR else token, index, "".join(views)))
    return _document(label, writer, traces, groups)


def _document(label: str, writer: str, traces: Sequence[str], groups: Sequence[tuple[str, int, str]]) -> bytes:
    """MathML names the symbols in the order of the label, not of writing."""
    shapes = ["-" if leaf.token == FRACTION_BAR else leaf.token for leaf in leaves(tree_of(label))]
    free = [[index for token, index, _ in groups if token == shape] for shape in sorted(set(shapes))]
    order = dict(zip(sorted(set(shapes)), map(iter, free), strict=True))
    named = "".join(f'<mi xml:id="s{next(order[shape])}">{escape(shape)}</mi>' for shape in shapes)
    divided = "".join(
        f'<traceGroup><annotation type="truth">{escape(token)}</annotation><annotationXML href="s{index}"/>{views}'
        "</traceGroup>"
        for token, index, views in groups
    )
    return (
        f'<ink xmlns="http://www.w3.org/2003/InkML"><annotation type="truth">${escape(label)}$</annotation>'
        f'<annotation type="writer">{writer}</annotation><annotationXML type="truth">'
        f'<math xmlns="http://www.w3.org/1998/Math/MathML">{named}</math></annotationXML>'
        f'{"".join(traces)}<traceGroup><annotation type="truth">Segmentation</annotation>{divided}</traceGroup></ink>'
    ).encode()


def write_dataset(raw: Path, *, num_train: int = 60, num_test: int = 6) -> None:
    """Folders `train` and `test` of divided inks below `raw`."""
    for folder, count, first in (("train", num_train, 0), ("test", num_test, 10_000)):
        (raw / folder).mkdir(parents=True)
        for number in range(count):
            rng = Random(first + number)
            label = RADICAL_LABELS[number] if number < len(RADICAL_LABELS) and folder == "train" else _label(rng)
            data = divided_ink(label, writer=WRITERS[number % len(WRITERS)], seed=first + number)
            (raw / folder / f"{folder}{number}.inkml").write_bytes(data)


def _label(rng: Random) -> str:
    """A label of the grammar without words, which have several glyphs here."""
    while True:
        text = label_of(expression(rng, min_tokens=3, max_tokens=12, max_depth=1))
        if not any(word in text for word in ("sin", "cos", "tan", "log", "ln", "exp", "lim", "max", "min", "matrix")):
            return text
