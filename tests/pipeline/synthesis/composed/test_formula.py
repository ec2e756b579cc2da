"""Composed inks: labels as trees, and new labels of old ones."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.config import LabelShares
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, write_boxed
from latexify.pipeline.synthesis.composed.formula import UnsupportedFormulaError, leaves, tree_of
from latexify.pipeline.synthesis.composed.labels import LabelRules, LabelSource, usable_formulas
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.formulas.expression import Fenced, Scripts, label
from latexify.pipeline.synthesis.formulas.generator import expression

TRAINING = {
    "x^{2}+y^{2}=1": 3,
    "\\frac{a}{b-1}=\\sqrt{2}": 1,
    "(a+b)^{n}": 2,
    "\\int_{0}^{1}f(x)dx": 1,
    "\\sum_{i=1}^{n}i^{2}": 1,
}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_tree_spells_the_label_it_was_made_of(seed: int) -> None:
    """A tree that spells something else would put a wrong label beside a composed ink."""
    text = label(expression(Random(seed), min_tokens=1, max_tokens=25, max_depth=3))
    assert label(tree_of(text)) == normalize(text)


def test_leaves_follow_the_label_and_lines_their_baselines() -> None:
    """Symbols would be measured against the wrong baseline if brackets and radicals began lines of their own."""
    found = leaves(tree_of("\\sqrt[3]{x_{1}}(a+\\frac{b}{c})^{2}"))
    assert [leaf.token for leaf in found] == ["\\sqrt", "3", "x", "1", "(", "a", "+", "\\frac", "b", "c", ")", "2"]
    lines = {leaf.token: leaf.line for leaf in found}
    assert {lines[token] for token in ("\\sqrt", "x", "(", "a", "+", "\\frac", ")")} == {0}
    assert len({lines[token] for token in ("x", "3", "1", "b", "c", "2")}) == 6


def test_script_of_a_bracket_belongs_to_the_pair() -> None:
    """An exponent would be raised by the height of the bracket alone, however tall what it encloses."""
    tree = tree_of("(a+b)^{2}")
    assert isinstance(tree, Scripts)
    assert isinstance(tree.base, Fenced)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("\\hat{x}", "the command"),
        ("\\mbox{if } x", "text|command"),
        ("{}^{2}", "script"),
        ("\\frac{}{2}", "empty"),
        ("x&y", "stray"),
        ("", "empty"),
        ("{" * 60 + "x_{1}" + "}" * 60 + "^{2" * 60 + "}" * 60, "deep"),
    ],
)
def test_what_cannot_be_set_is_refused_with_a_reason(text: str, why: str) -> None:
    """A formula of a list that cannot be set must be counted, not end the run, nor lose a part."""
    with pytest.raises(UnsupportedFormulaError, match=why):
        tree_of(text)


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_changed_labels_are_normal_and_alike(seed: int) -> None:
    """A label that ingest would respell could slip past the labels that validation and test hold."""
    rng, recombiner = Random(seed), Recombiner(TRAINING)
    tree = recombiner.drawn(rng)
    exchanged = recombiner.exchanged(tree, rng)
    assert [leaf.line for leaf in leaves(exchanged)] == [leaf.line for leaf in leaves(tree)]
    for new in (exchanged, recombiner.exchanged(recombiner.recombined(tree, rng), rng)):
        assert normalize(label(new)) == label(new)
        known = {leaf.token for text in TRAINING for leaf in leaves(tree_of(text))}
        assert {leaf.token for leaf in leaves(new)} <= known


def test_differentials_stay() -> None:
    r"""`\int f(x)qx` is no formula that anybody writes."""
    recombiner = Recombiner({"\\int_{0}^{1}f(x)dx": 1, "a+b+c+e": 1})
    tree = tree_of("\\int_{0}^{1}f(x)dx")
    assert all("d" in label(recombiner.exchanged(tree, Random(seed))) for seed in range(20))


def source_of(shares: LabelShares, rules: LabelRules, tmp_path_factory: pytest.TempPathFactory) -> LabelSource:
    """A source of labels without boxes."""
    path = tmp_path_factory.mktemp("boxes") / "none.arrow"
    write_boxed(path, [])
    listed, _ = usable_formulas(["z=3", "w_1^2", "\\hat{z}"], rules)
    return LabelSource(
        training=Recombiner(TRAINING), listed=listed, boxed=BoxedFormulas(path), shares=shares, rules=rules
    )


def test_every_share_keeps_the_rules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No share may write a held-out label, one out of the limits, or one with a symbol that nobody wrote."""
    known = frozenset(leaf.token for text in [*TRAINING, "z=3"] for leaf in leaves(tree_of(text)))
    forbidden = frozenset(["(a+b)^{n}", "x", "2"])
    rules = LabelRules(min_tokens=1, max_tokens=15, symbols=known, forbidden=forbidden)
    source, refused = source_of(LabelShares(), rules, tmp_path_factory), Counter[str]()
    drawn = [found for seed in range(400) if (found := source.draw(Random(seed), refused))]
    assert {found.share for found in drawn} == {"copied", "exchanged", "recombined", "grammar", "listed"}
    labels = {found.label for found in drawn}
    assert not labels & forbidden
    assert refused["held-out label"] > 0
    assert all(not isinstance(found.layout, tuple) for found in drawn)
    assert {leaf.token for text in labels for leaf in leaves(tree_of(text))} <= known


def test_shares_are_kept_in_proportion(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A share of 0 must not occur, one three times another about three times as often."""
    known = frozenset(leaf.token for text in [*TRAINING, "z=3", "w_{1}^{2}"] for leaf in leaves(tree_of(text)))
    rules = LabelRules(min_tokens=1, max_tokens=40, symbols=known, forbidden=frozenset())
    shares = LabelShares(copied=3, exchanged=0, recombined=0, grammar=0, listed=1, boxes=5)
    source = source_of(shares, rules, tmp_path_factory)
    found = Counter(drawn.share for seed in range(600) if (drawn := source.draw(Random(seed), Counter())))
    assert set(found) == {"copied", "listed"}
    assert 2.2 < found["copied"] / found["listed"] < 4.2


def test_a_list_is_filtered_with_reasons() -> None:
    """Who gives a list must be able to see why a third of it is not used."""
    rules = LabelRules(min_tokens=1, max_tokens=5, symbols=frozenset("zx1"), forbidden=frozenset(["x"]))
    usable, refused = usable_formulas(["z", "$z$", "x", "y", "z x 1 z x 1", "\\vec{z}"], rules)
    assert usable == ["z"]
    assert refused == {
        "listed: held-out label": 1,
        "listed: no symbol y": 1,
        "listed: length": 1,
        "listed: the command \\vec": 1,
    }
