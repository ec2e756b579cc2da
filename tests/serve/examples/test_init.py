"""The examples of a fresh clone are formulas that people know, and the shipped model reads each."""

import numpy as np
import pytest

from latexify.pipeline.latex import normalize
from latexify.serve.examples import ExampleInk, example_inks
from latexify.serve.recognizer import Recognizer

NUM_EXAMPLES = 12
LEAST_CONFIDENCE = 0.5


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The shipped model."""
    return Recognizer(device="cpu", num_threads=1)


def test_there_are_a_dozen() -> None:
    """Each with a name, a normal form of its own, and strokes of whole numbers."""
    examples = example_inks()
    assert len({example.latex for example in examples}) == len(examples) == NUM_EXAMPLES
    for example in examples:
        assert normalize(example.latex) == example.latex
        assert example.name
        points = np.concatenate([np.array(stroke) for stroke in example.strokes])
        assert points.dtype == np.int64
        assert (points.min(), points.max()) == (0, 2000)


@pytest.mark.parametrize("example", example_inks(), ids=lambda example: example.name)
def test_the_shipped_model_reads_each(recognizer: Recognizer, example: ExampleInk) -> None:
    """Nine of the twelve that a newcomer saw first were misread. With the settings of `recognize` and of the pages."""
    picture = recognizer.draw([np.array(stroke, np.float32) for stroke in example.strokes])
    for beams in (1, 3, 4):
        [answer] = recognizer.read([picture], num_beams=beams)
        assert answer.latex == example.latex
        assert answer.confidence >= LEAST_CONFIDENCE
