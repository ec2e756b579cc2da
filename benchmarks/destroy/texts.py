r"""Texts that a damaged file may hold: LaTeX labels as nobody should write them, and numbers of every form."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from random import Random

from latexify.pipeline.latex import tables, tokenize
from latexify.pipeline.latex.tables import SYMBOLS

_ENVIRONMENTS = ("matrix", "pmatrix", "array", "cases", "aligned", "Bmatrix", "align*", "equation", "nosuch")
WORDS: Sequence[str] = (
    *"abcxyzABN0129+-=()[]|/*<>,.:;!?'\"@`",
    *["{", "}", "^", "_", "&", "\\\\", "$", " ", "~", "%", "#"] * 3,
    *sorted(set(tables.REPLACEMENTS) | set(tables.ARITY) | set(tables.TEXT_COMMANDS) | set(tables.INFIX)),
    *sorted(set(tables.FONT_SWITCHES) | set(tables.SIZED_DELIMITERS) | set(tables.DROPPED_ARGUMENTS)),
    *sorted(SYMBOLS)[::20],
    *(f"\\{end}{{{name}}}" for end in ("begin", "end") for name in _ENVIRONMENTS),
    *(
        "\\begin{",
        "\\end",
        "\\left.",
        "\\right)",
        "\\mathbb{R}",
        "\\nosuch",
        "\\ltN",
        "\\",
        "&lt;",
        "&amp;",
        "&amp;lt;",
    ),
)
"""What a soup of tokens is made of; signs of structure are the likeliest."""

_NESTING = (
    "{",
    "\\frac{",
    "\\sqrt[",
    "\\sqrt{",
    "x^{",
    "\\left(",
    "\\text{$",
    "\\begin{matrix}",
    "\\mathrm{",
    "a_{b^{",
    "\\not",
)
_FOREIGN = (
    "\u05d0\u0628\u6f22\uc218\U0001d4d0\U0001f600e\u0301"
    "\u200d\u200e\u202e\ufeff\u00ad\u2028\ufffd\U0010ffff\x85\xa0\t\r\n"
)


def broken_label(rng: Random, label: str) -> str:
    """`label` with a few of its tokens lost, doubled, moved or replaced."""
    tokens = tokenize(label) or ["x"]
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(tokens) + 1)
        match rng.randrange(5):
            case 0:
                del tokens[place : place + 1]
            case 1:
                tokens.insert(place, rng.choice(WORDS))
            case 2:
                tokens[place:place] = tokens[place : place + rng.randint(1, 8)]
            case 3:
                tokens.insert(place, rng.choice("{}"))
            case _:
                rng.shuffle(tokens)
    return "".join(tokens)


def token_soup(rng: Random) -> str:
    """Random tokens, most of which ask for others that are not there."""
    return "".join(rng.choices(WORDS, k=rng.choice((3, 8, 20, 60, 400))))


def nested_label(rng: Random) -> str:
    """Nesting deeper than any formula's, closed or not; up to a hundred thousand levels."""
    opening = rng.choice(_NESTING)
    depth = rng.choice((10, 24, 25, 48, 49, 50, 51, 52, 200, 500, 100_000))
    closing = rng.choice(("}", "", "]", "\\right)", "\\end{matrix}", "$}"))
    return opening * depth + rng.choice(("x", "", "a\\over b", "&")) + closing * rng.choice((depth, depth - 1, 0))


def foreign_label(rng: Random) -> str:
    """Signs of other scripts, invisible ones, control characters, and those that XML barely allows."""
    signs = [chr(rng.choice((rng.randrange(0x20, 0x300), rng.randrange(0xE000, 0x20000)))) for _ in range(8)]
    signs = [sign for sign in signs if ord(sign) not in (0xFFFE, 0xFFFF)]  # no characters, says XML
    chosen = rng.choices([*_FOREIGN, *signs, "x", "^", "{", "}", "\\"], k=rng.randint(1, 40))
    return "".join(chosen)


def long_label(rng: Random) -> str:
    """A label around the largest length that is allowed by default, or far beyond it."""
    length = rng.choice((3990, 3999, 4000, 4001, 4100, 100_000, 2_000_000))
    return (rng.choice(("x", "{", "\\frac", "x^", "\\text{a b}", "&", "\\left[")) * length)[:length]


FINITE_FORMS = (
    "1e5", "1E+05", "-2.5e-3", "+1", "-.5", "7.", "-0", "00012", "1e0", "0.1e1", "1e-45", "1e-46", "1e-400", "-1e-400",
    "3.4028235e38", "-3.4028235e38", "0.000000000000000000000000000001", "16777217", "9007199254740993",
    "1e-0000000001", "0e999999999", "1.17549435e-38", "123456789012345678901234567890", ".1e+2", "-00.00e-00",
)  # fmt: skip
"""Decimal numbers whose nearest float32 is finite: each is a number in every reader of them."""

BROKEN_FORMS = (
    "inf", "-inf", "+Infinity", "nan", "NaN", "-nan", "nan(0x1)", "1e400", "-1e400", "1e39", "3.4028236e38", "1#INF",
    "1e999999999999999999", "0x1F", "0x1p-3", "0b101", "0o17", "1_000", "1f", "1d0", "10L", "1/2", "50%",
    "$1", "--1", "+-1", "1e", "1e+", "e5", ".", "+", "1.2.3", "1e5e5", "1e5.5", "1..2", "1+2", "1ee5",
    "\u0967", "\uff11\uff12", "\u0663", "\u22121", "\u221e", "\xbd", "\u2460", "\xb2", "1\u00a02", "1\u200b",
    "\ufeff1", "one", "null", "None", "true", "True", "''", "1;2", "1|2", "(1)", "[1]", "1:2", "\\N", "~",
    "`1`", "1\x7f",
)  # fmt: skip
"""No number of any form that is allowed, or one that is too large for float32."""


CODED_FORMS = (
    *("'1", '"1', "!1", "'-1", "*", "?", "T", "F", "#FF"),
    *("-#F", "1-2", "1'2", "1'000", "- 1", "1*", "?1", "T F"),
)
"""Values that the Recommendation codes; whether the trace can be read depends on what stands around them."""


def coded_numeral(rng: Random) -> str:
    """One to three coded values."""
    return rng.choice(("", " ")).join(rng.choices(CODED_FORMS, k=rng.randint(1, 3)))


def finite_numeral(rng: Random) -> str:
    """A number, in some form, that is finite in float32."""
    digits = "".join(rng.choices("0123456789", k=rng.choice((1, 17, 40, 400, 4000))))
    written = (
        f"{rng.uniform(-1e4, 1e4)!r}",
        f"{rng.uniform(-1, 1):.{rng.randrange(60)}e}",
        f"{rng.randrange(-(10**6), 10**6)}",
        f"{rng.choice('+-')}0.{digits}",
        f"{rng.randrange(100)}.{digits}e{rng.randrange(-60, 30)}",
        f"{'0' * len(digits)}{rng.randrange(1000)}",
        f"{digits}e-{len(digits)}",
        rng.choice(FINITE_FORMS),
    )
    return rng.choice(written)


def broken_numeral(rng: Random) -> str:
    """What is no finite number, and must never be drawn as if it were one."""
    digits = "".join(rng.choices("0123456789", k=rng.choice((50, 400, 5000))))
    written = (f"9{digits}", f"1e{digits}1", f"{digits}x", f"-9{digits}.{digits}", rng.choice(BROKEN_FORMS))
    return rng.choice((*written, *rng.choices(BROKEN_FORMS, k=5)))


def as_differences(points: Sequence[Sequence[str]], *, order: str) -> str:
    """Write points with x and y as differences from the third point on. order: `'` for first, `"` for second ones."""
    numbers = [[Decimal(value) for value in point[:2]] for point in points]
    first = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairwise(numbers)]
    second = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairwise(first)]
    written = [" ".join(point) for point in points[:2]]
    for index, point in enumerate(points[2:]):
        values = first[index + 1] if order == "'" else second[index]
        marks = order if index == 0 else ""
        written.append(" ".join([f"{marks}{value}" for value in values] + list(point[2:])))
    return ",".join(written)


def context(rng: Random) -> str:
    """A context, definitions or a view for an InkML file, sound or not."""
    numbers = " ".join(rng.choices(("0", "1", "-1", "2.5", "nan", "1e400", "x"), k=rng.choice((3, 3, 3, 4, 0))))
    matrix = f"<affine>{numbers},{numbers[::-1]}</affine>"
    transform = f"<canvasTransform><mapping type='affine'>{matrix}</mapping></canvasTransform>"
    x = f"<channel name='X' orientation='{rng.choice(('+ve', '-ve', 'up'))}'/>"
    y = f"<channel name='Y' units='{rng.choice(('mm', 'cm', 'parsec'))}'/>"
    circle = "<context xml:id='a' contextRef='#b'/><context xml:id='b' contextRef='#a'/>"
    views = "".join(f"<traceView traceDataRef='#v' from='{rng.randint(0, 3)}'/>" for _ in range(rng.randint(1, 3)))
    written = (
        f"<context>{transform}</context>",
        f"<context><traceFormat>{x}{y}</traceFormat></context>",
        f"<definitions>{circle}</definitions><context contextRef='#a'/>",
        f"<definitions><trace xml:id='v'>1 2,3 4</trace></definitions>{views}",
        "<context contextRef='#nothing'/>",
        "<traceView traceDataRef='#0' from='2' to='1'/>",
    )
    return rng.choice(written)
