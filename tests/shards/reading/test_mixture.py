"""Weights of several datasets: exact counts, the same on every machine and after every interruption."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latexify.common.errors import LatexifyError
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.reading.mixture import Mixture
from tests.support.trainer_data import make_shards

NAMES = ("crohme", "images")
SIZES = {"crohme": 10, "images": 30}  # of 40 samples every fourth is of the first


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> SplitIndex:
    """The training split of two datasets."""
    folder = tmp_path_factory.mktemp("shards")
    make_shards(folder, datasets=NAMES)
    return open_split(folder, "train")


def mixture_of(index: SplitIndex, **weights: float) -> Mixture:
    """The mixture with these weights."""
    found = Mixture.of(index, weights)
    assert found is not None
    return found


weights = st.decimals(min_value="0.05", max_value=5, places=3).map(float)


@given(crohme=weights, images=weights, seed=st.integers(0, 2**40), epochs=st.integers(1, 25))
def test_counts_are_exact(index: SplitIndex, crohme: float, images: float, seed: int, epochs: int) -> None:
    """A weight that holds only roughly, or for some samples, is not the one of params.yaml."""
    mixture = mixture_of(index, crohme=crohme, images=images)
    drawn = [mixture.draw(seed=seed, epoch=epoch) for epoch in range(epochs)]
    times = np.bincount(np.concatenate([draw.rows for draw in drawn]), minlength=len(index))
    for number, (name, weight) in enumerate(zip(NAMES, (crohme, images), strict=True)):
        exact = Fraction(str(weight)) * epochs
        own = times[index.dataset_ids == number]
        assert own.sum() == int(exact * SIZES[name])
        assert set(own.tolist()) <= {int(exact), int(exact) + 1}
    assert min(len(draw.rows) for draw in drawn) >= mixture.smallest_epoch


@given(crohme=weights, images=weights, epoch=st.integers(0, 1000))
def test_visits_count_on(index: SplitIndex, crohme: float, images: float, epoch: int) -> None:
    """Two appearances with the same number would be augmented alike."""
    mixture = mixture_of(index, crohme=crohme, images=images)
    now, then = mixture.draw(seed=1, epoch=epoch), mixture.draw(seed=1, epoch=epoch + 1)
    last: dict[int, int] = {}
    for row, visit in zip([*now.rows.tolist(), *then.rows.tolist()], [*now.visits, *then.visits], strict=True):
        assert visit == last.get(row, visit - 1) + 1
        last[row] = visit


def test_weights_of_one_draw_each_sample_once(index: SplitIndex) -> None:
    """Several datasets without weights are as one: the plan stays that of all samples."""
    draw = mixture_of(index, crohme=1.0, images=1).draw(seed=5, epoch=7)
    assert draw.rows.tolist() == list(range(40))
    assert set(draw.visits.tolist()) == {7}


def test_draws_are_the_same_on_every_machine(index: SplitIndex) -> None:
    """A run that goes on elsewhere, or after an upgrade of NumPy, must go on with the same samples."""
    draw = mixture_of(index, crohme=1.5, images=0.1).draw(seed=7, epoch=2)
    assert draw.rows.tolist() == [0, 2, 4, 4, 7, 8, 8, 12, 16, 20, 20, 24, 24, 28, 28, 32, 33, 36]


def test_a_half_takes_turns_and_seeds_differ(index: SplitIndex) -> None:
    """The same half in every epoch would leave the other half out."""
    mixture = mixture_of(index, crohme=1, images=0.5)
    first, second = (set(mixture.draw(seed=1, epoch=epoch).rows.tolist()) for epoch in (0, 1))
    assert len(first) == len(second) == 25
    assert len(first & second) == 10
    assert set(mixture.draw(seed=2, epoch=0).rows.tolist()) != first


@pytest.mark.parametrize(
    ("names", "given_weights", "message"),
    [
        (NAMES, {"crohme": 1, "inkml": 1}, "holds the datasets crohme, images, params.yaml names the datasets crohme"),
        (NAMES, None, "holds the datasets crohme, images, params.yaml names one dataset: run `dvc repro`"),
        ((), {"crohme": 1, "images": 1}, "holds one dataset, params.yaml names the datasets crohme, images"),
        (
            (*NAMES, "x", "y", "inkml"),
            {"crohme": 1, "images": 1, "x": 1, "y": 1, "inkml": 2},
            "no training samples of inkml, so a weight has no effect",
        ),
        (NAMES, {"crohme": 0.01, "images": 0.01}, "the weights leave epochs without a sample"),
    ],
)
def test_what_cannot_be_weighted_is_one_line(
    tmp_path: Path, names: tuple[str, ...], given_weights: dict[str, Any] | None, message: str
) -> None:
    """Training on other data than params.yaml names would be wrong in silence."""
    make_shards(tmp_path, datasets=names)
    with pytest.raises(LatexifyError, match=message) as error:
        Mixture.of(open_split(tmp_path, "train"), given_weights)
    assert "\n" not in str(error.value)


def test_composed_inks_come_once(tmp_path: Path) -> None:
    """They are made from the training inks of all datasets, and no weight is theirs."""
    make_shards(tmp_path, datasets=("images", "crohme", "composed"))
    mixture = mixture_of(open_split(tmp_path, "train"), crohme=0.5, images=2)
    assert mixture.sizes == {"images": 10, "crohme": 10, "composed": 20}
    assert len(mixture.draw(seed=1, epoch=0).rows) == 5 + 20 + 20


def test_one_dataset_has_no_mixture(tmp_path: Path) -> None:
    """Its plans, and thereby its runs, stay as they were."""
    make_shards(tmp_path)
    assert Mixture.of(open_split(tmp_path, "train"), None) is None
