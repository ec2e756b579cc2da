"""Sections of params.yaml: what identifies an artifact."""

from typing import Annotated

from latexify.common.section import Later, Section
from latexify.pipeline.config import ComposedParams, SyntheticParams


class Inner(Section):
    """A section in a section."""

    old: float = 1.0
    new: Annotated[float, Later()] = 0.0


class Outer(Section):
    """A section."""

    names: list[str] = ["a"]
    inner: Inner = Inner()
    count: Annotated[int, Later()] = 4


def test_a_parameter_that_was_added_later_changes_no_identity() -> None:
    """Otherwise every artifact of an earlier version would have to be made again, and every training begun anew."""
    assert Outer().identity() == {"names": ["a"], "inner": {"old": 1.0}}
    assert Outer(count=5, inner=Inner(new=2.0)).identity() == {
        "names": ["a"],
        "inner": {"old": 1.0, "new": 2.0},
        "count": 5,
    }


def test_the_identity_of_generated_inks_is_that_of_earlier_versions() -> None:
    """The parameters that version 0.1.0 had."""
    synthetic = {"num_train", "num_valid", "num_test", "num_writers", "min_tokens", "max_tokens", "max_depth"}
    assert SyntheticParams().identity().keys() == synthetic
    mix = {"copied", "exchanged", "recombined", "grammar", "listed", "boxes"}
    assert ComposedParams().identity()["label_mix"].keys() == mix
    assert "several_lines" in SyntheticParams(several_lines=0.5).identity()
