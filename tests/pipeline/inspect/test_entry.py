"""The choice of entries: who asks for the widest must see the widest."""

import pytest

from latexify.common.errors import LatexifyError
from latexify.pipeline.inspect.entry import Choice, choose
from tests.support.inspect_entries import ENTRIES, entry


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        ({"pick": "longest"}, "abcd"),
        ({"pick": "widest"}, "cabd"),
        ({"pick": "smallest"}, "cabd"),
        ({"pick": "most-strokes"}, "bacd"),
        ({"pick": "longest", "count": 1}, "a"),
        ({"pick": "longest", "label": r"\frac"}, "a"),
        ({"pick": "longest", "label": r"d?frac\{?1"}, "ac"),
        ({"pick": "longest", "label": "^x"}, "bd"),
        ({"pick": "longest", "label": "+"}, "b"),
        ({"pick": "longest", "split": "test"}, "c"),
        ({"pick": "longest", "key": "folder/"}, "d"),
        ({"pick": "longest", "label": "nothing"}, ""),
    ],
)
def test_choice(options: dict[str, object], keys: str) -> None:
    """Who asks for the widest must see the widest; what has no size comes last, and is not lost."""
    chosen, _ = choose(ENTRIES, Choice(**options))  # type: ignore[arg-type]
    assert "".join(found.key for found in chosen) == keys


def test_random_choice_depends_on_seed_and_keys_alone() -> None:
    """Two people who talk about a sheet must have the same one before them."""
    many = [entry(f"k{number}", "x") for number in range(200)]
    first, num_matching = choose(many, Choice(count=10, seed=1))
    again, _ = choose(many[::-1], Choice(count=10, seed=1))
    other, _ = choose(many, Choice(count=10, seed=2))
    assert (len(first), num_matching) == (10, 200)
    assert first == again != other


def test_a_wrong_expression_is_one_line() -> None:
    """LaTeX is full of braces and backslashes: people mistype patterns."""
    with pytest.raises(LatexifyError, match="--label"):
        choose(ENTRIES, Choice(label=r"\frac{("))
