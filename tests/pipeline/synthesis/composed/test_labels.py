"""The label mix of composed inks."""

import dataclasses
from collections import Counter
from random import Random

import pytest

from latexify.eval.metrics.structure import num_lines
from latexify.pipeline.config import LabelShares
from latexify.pipeline.synthesis.composed.boxed import BoxedFormulas, write_boxed
from latexify.pipeline.synthesis.composed.formula import leaves, tree_of
from latexify.pipeline.synthesis.composed.labels import LabelRules, LabelSource, usable_formulas
from latexify.pipeline.synthesis.composed.recombining import Recombiner

TRAINING = {
    "x^{2}+y^{2}=1": 3,
    "\\frac{a}{b-1}=\\sqrt{2}": 1,
    "(a+b)^{n}": 2,
    "\\int_{0}^{1}f(x)dx": 1,
    "\\sum_{i=1}^{n}i^{2}": 1,
}


def source_of(label_mix: LabelShares, rules: LabelRules, tmp_path_factory: pytest.TempPathFactory) -> LabelSource:
    """A source of labels without boxes."""
    path = tmp_path_factory.mktemp("boxes") / "none.arrow"
    write_boxed(path, [])
    listed, _ = usable_formulas(["z=3", "w_1^2", "\\hat{z}"], rules)
    return LabelSource(
        training=Recombiner(TRAINING), listed=listed, boxed=BoxedFormulas(path), label_mix=label_mix, rules=rules
    )


def test_every_part_of_the_mix_keeps_the_rules(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No part of the mix may write a held-out label, one beyond the limits, or one with a symbol that nobody wrote."""
    known = frozenset(leaf.token for text in [*TRAINING, "z=3"] for leaf in leaves(tree_of(text)))
    forbidden = frozenset(["(a+b)^{n}", "x", "2"])
    rules = LabelRules(min_tokens=1, max_tokens=15, symbols=known, forbidden=forbidden)
    source, refused = source_of(LabelShares(), rules, tmp_path_factory), Counter[str]()
    drawn = [found for seed in range(400) if (found := source.draw(Random(seed), refused))]
    assert {found.origin for found in drawn} == {"copied", "exchanged", "recombined", "grammar", "listed"}
    labels = {found.label for found in drawn}
    assert not labels & forbidden
    assert refused["held-out label"] > 0
    assert all(not isinstance(found.layout, tuple) for found in drawn)
    assert {leaf.token for text in labels for leaf in leaves(tree_of(text))} <= known


def test_the_weights_of_the_mix_are_kept(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A weight of 0 must not occur, and three times the weight gives about three times as many."""
    known = frozenset(leaf.token for text in [*TRAINING, "z=3", "w_{1}^{2}"] for leaf in leaves(tree_of(text)))
    rules = LabelRules(min_tokens=1, max_tokens=40, symbols=known, forbidden=frozenset())
    shares = LabelShares(copied=3, exchanged=0, recombined=0, grammar=0, listed=1, boxes=5)
    source = source_of(shares, rules, tmp_path_factory)
    found = Counter(drawn.origin for seed in range(600) if (drawn := source.draw(Random(seed), Counter())))
    assert set(found) == {"copied", "listed"}
    assert 2.2 < found["copied"] / found["listed"] < 4.2


def test_several_lines_are_drawn_only_if_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The lines come from the other parts of the mix, and the whole label keeps the limits."""
    known = frozenset(leaf.token for text in [*TRAINING, "z=3", "w_{1}^{2}"] for leaf in leaves(tree_of(text))) | {
        "\\{"
    }
    rules = LabelRules(min_tokens=1, max_tokens=60, symbols=known, forbidden=frozenset())
    source = source_of(LabelShares(several_lines=4, boxes=0), rules, tmp_path_factory)
    found = [drawn for seed in range(300) if (drawn := source.draw(Random(seed), Counter()))]
    stacked = [drawn.label for drawn in found if drawn.origin == "several_lines"]
    assert 60 < len(stacked) < 180
    assert all(num_lines(text) in {2, 3, 4} for text in stacked)
    assert any("z&=3" in text or "z=3" in text for text in stacked)
    assert "several_lines" not in source_of(LabelShares(), rules, tmp_path_factory).weights
    nothing_else = LabelShares(copied=0, exchanged=0, recombined=0, grammar=0, listed=0, boxes=0, several_lines=1)
    alone = source_of(nothing_else, rules, tmp_path_factory)
    drawn_alone = [alone.draw(Random(seed), Counter()) for seed in range(20)]
    assert {drawn.origin for drawn in drawn_alone if drawn} == {"several_lines"}


def test_lone_symbols_are_common_ones_and_never_held_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    """People write one symbol first. Every symbol must come, and none that no formula holds or nobody wrote."""
    labels = {**TRAINING, "x": 10, "1": 10, "q+\\heartsuit": 10}
    written = frozenset(leaf.token for text in labels for leaf in leaves(tree_of(text))) - {"q"} | {"\\Bowtie"}
    rules = LabelRules(min_tokens=2, max_tokens=5, symbols=written, forbidden=frozenset("x"))
    shares = LabelShares(copied=0, exchanged=0, recombined=0, grammar=0, listed=0, boxes=0, symbols=1)
    source = dataclasses.replace(source_of(shares, rules, tmp_path_factory), training=Recombiner(labels))
    drawn = [source.draw(Random(seed), Counter()) for seed in range(300)]
    found = Counter(each.label for each in drawn if each)
    assert set(found) == {"x", "1", "+", "\\heartsuit"}  # "\\frac" and rarer ones are left out
    assert min(found.values()) > 30
    assert "symbols" not in source_of(LabelShares(), rules, tmp_path_factory).weights


def test_a_list_is_filtered_with_reasons() -> None:
    """Users must be able to see why a third of their list is not used."""
    rules = LabelRules(min_tokens=1, max_tokens=5, symbols=frozenset("zx1"), forbidden=frozenset(["x"]))
    usable, refused = usable_formulas(["z", "$z$", "x", "y", "z x 1 z x 1", "\\vec{z}"], rules)
    assert usable == ["z"]
    assert refused == {
        "listed: held-out label": 1,
        "listed: no symbol y": 1,
        "listed: length": 1,
        "listed: the command \\vec": 1,
    }
