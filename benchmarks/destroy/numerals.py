"""Texts of numbers, of every form that somebody's program, locale or malice may write into a trace."""

from random import Random

FINITE_FORMS = (
    "1e5", "1E+05", "-2.5e-3", "+1", "-.5", "7.", "-0", "00012", "1e0", "0.1e1", "1e-45", "1e-46", "1e-400", "-1e-400",
    "3.4028235e38", "-3.4028235e38", "0.000000000000000000000000000001", "16777217", "9007199254740993",
    "1e-0000000001", "0e999999999", "1.17549435e-38", "123456789012345678901234567890", ".1e+2", "-00.00e-00",
)  # fmt: skip
"""Decimal numbers whose nearest float32 is finite: each is a number in every reader of them."""

BROKEN_FORMS = (
    "inf", "-inf", "+Infinity", "nan", "NaN", "-nan", "nan(0x1)", "1e400", "-1e400", "1e39", "3.4028236e38", "1#INF",
    "1e999999999999999999", "0x1F", "0x1p-3", "0b101", "0o17", "1_000", "1'000", "1f", "1d0", "10L", "1/2", "50%",
    "$1", "--1", "+-1", "1-2", "1e", "1e+", "e5", ".", "-", "+", "1.2.3", "1e5e5", "1e5.5", "1..2", "1+2", "1ee5",
    "#FF", "\u0967", "\uff11\uff12", "\u0663", "\u22121", "\u221e", "\xbd", "\u2460", "\xb2", "1\u00a02", "1\u200b",
    "\ufeff1", "one", "null", "None", "true", "True", "''", '"1"', "1;2", "1|2", "(1)", "[1]", "1:2", "\\N", "~", "?",
    "`1`", "1\x7f",
)  # fmt: skip
"""No number of any form that is allowed, or one that is too large for float32."""


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
