"""Labels from right to left."""

import numpy as np
import torch

from latexify.trainer.data.directions import choose_reversed, reverse_labels

ROWS = np.arange(4000)
VISITS = np.full(4000, 2)


def test_the_choice_follows_from_seed_visit_and_row() -> None:
    """A resumed run, or one on several ranks, must learn the same labels in the same direction."""
    chosen = choose_reversed(ROWS, fraction=0.3, seed=1, visits=VISITS)
    assert abs(chosen.float().mean() - 0.3) < 0.03
    assert torch.equal(chosen[5:9], choose_reversed(ROWS[5:9], fraction=0.3, seed=1, visits=VISITS[5:9]))
    for other in ({"seed": 2, "visits": VISITS}, {"seed": 1, "visits": VISITS + 1}):
        assert not torch.equal(chosen, choose_reversed(ROWS, fraction=0.3, **other))  # type: ignore[arg-type]  # of a mapping


def test_labels_are_reversed_up_to_their_end() -> None:
    """The end token stays at the end, padding stays behind it, and the others stay as they are."""
    labels = torch.tensor([[5, 6, 7, 2], [5, 6, 2, -100], [8, 9, 2, -100], [2, -100, -100, -100], [-100] * 4])
    chosen = torch.tensor([True, True, False, True, True])
    expected = [[7, 6, 5, 2], [6, 5, 2, -100], [8, 9, 2, -100], [2, -100, -100, -100], [-100] * 4]
    assert reverse_labels(labels, chosen).tolist() == expected
