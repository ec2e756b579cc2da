"""Names and keys of inputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.pipeline.inputs.inputs import is_inkml_name, key_of, printable


@pytest.mark.parametrize(
    ("name", "is_ink"),
    [
        ("a/b.inkml", True),
        ("a/b.INKML", True),
        ("a/b.jsonl", False),
        ("a/.inkml", False),
        ("a/._b.inkml", False),
        ("__MACOSX/a/b.inkml", False),
    ],
)
def test_which_members_are_inputs(name: str, *, is_ink: bool) -> None:
    """The hidden files of macOS would all be rejected and stop the stage."""
    assert is_inkml_name(name) is is_ink


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("train/HAMEX/formulaire001-equation001.inkml", "train/HAMEX/formulaire001-equation001"),
        ("./a//b.INKML", "a/b"),
        ("/abs/a.inkml", "abs/a"),
        ("../../etc/x.inkml", "%2E%2E/%2E%2E/etc/x"),
        ("a.b.inkml", "a%2Eb"),
        ("a%2Eb.inkml", "a%252Eb"),
        ("a b\\c\n.inkml", "a%20b%5Cc%0A"),
        ("é.inkml", "%C3%A9"),
        ("\udcff.inkml", "%FF"),
    ],
)
def test_keys(name: str, key: str) -> None:
    """Webdataset splits names at the first dot: a key with one would lose its sample."""
    assert key_of(name) == key


name_text = st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1).filter(lambda name: name != ".")


@given(st.lists(name_text, min_size=2, max_size=2, unique=True))
def test_different_names_have_different_keys(names: list[str]) -> None:
    """Two files that share a key would be one sample."""
    keys = [key_of(f"{name}.inkml") for name in names]
    assert len(set(keys)) == len(names)
    assert all(key.isascii() and key.isprintable() and not set(key) & set(". \\") for key in keys)


def test_printable_names_are_valid_text() -> None:
    """Parquet refuses surrogates, and a line break would tear the report."""
    assert printable("a/\udcff\n.inkml") == "a/��.inkml"
