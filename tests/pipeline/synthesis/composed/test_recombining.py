"""New formulas from training labels."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.formula import leaves, tree_of
from latexify.pipeline.synthesis.composed.recombining import Recombiner
from latexify.pipeline.synthesis.formulas.expression import label

TRAINING = {
    "x^{2}+y^{2}=1": 3,
    "\\frac{a}{b-1}=\\sqrt{2}": 1,
    "(a+b)^{n}": 2,
    "\\int_{0}^{1}f(x)dx": 1,
    "\\sum_{i=1}^{n}i^{2}": 1,
}


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
