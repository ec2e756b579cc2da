"""Labels in parts and in few shapes: every token is there once, and nothing but tokens counts."""

import numpy as np
import pytest
import torch

from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.data.label_parts import MIN_PART, LabelPart, pad_to_few_shapes, split_labels, whole_batch
from tests.support.trainer_data import LENGTHS, labels_of


def test_parts_hold_every_token_once() -> None:
    """A sample that is in no part teaches nothing; one that is in two counts twice."""
    labels = labels_of(LENGTHS)
    parts = split_labels(labels)
    assert len(parts) == len(LENGTHS) // MIN_PART
    rows = torch.cat([part.rows for part in parts if part.rows is not None])
    assert sorted(rows.tolist()) == list(range(len(LENGTHS)))
    for part in parts:
        whole = labels[part.rows]
        assert torch.equal(part.labels, whole[:, : part.labels.shape[1]])
        assert (whole[:, part.labels.shape[1] :] == IGNORE_INDEX).all()
    assert sum(part.labels.numel() for part in parts) < 0.7 * labels.numel()


@pytest.mark.parametrize("lengths", [[9] * 32, [3, 40], [5]])
def test_a_batch_with_little_to_save_stays_whole(lengths: list[int]) -> None:
    """Small matrix products, and gathering what the encoder saw, cost more than a little padding."""
    labels = labels_of(lengths)
    assert [part.rows for part in split_labels(labels)] == [None]
    assert split_labels(labels)[0].labels is labels


@pytest.mark.parametrize("lengths", [LENGTHS, [9] * 32, [16] * 8, [17] * 8, [5], [200, 3]])
def test_few_shapes_hold_the_same_tokens(lengths: list[int]) -> None:
    """What is added is ignored; what was there is found at its place."""
    backward = torch.arange(len(lengths)) % 2 == 0
    parts = split_labels(labels_of(lengths), backward)
    for before, after in zip(parts, pad_to_few_shapes(parts, max_length=256), strict=True):
        length = before.labels.shape[1]
        assert after.labels.shape[1] % 8 == 0
        assert length <= after.labels.shape[1] <= max(16, length * 3 // 2)
        assert torch.equal(after.labels[:, :length], before.labels)
        assert (after.labels[:, length:] == IGNORE_INDEX).all()
        counts = after.targets != IGNORE_INDEX
        assert len(after.places) == len(after.targets)
        assert torch.equal(after.targets[counts], before.targets)
        assert torch.equal(after.labels.flatten()[after.places[counts]], before.targets)
        assert after.rows is before.rows
        assert after.backward is before.backward


def test_labels_are_not_longer_than_the_decoder_has_positions() -> None:
    """A position beyond the last one is an error in the middle of a training."""
    (part,) = pad_to_few_shapes([whole_batch(labels_of([70]))], max_length=75)
    assert part.labels.shape == (1, 75)
    (part,) = pad_to_few_shapes([whole_batch(labels_of([80]))], max_length=75)
    assert part.labels.shape == (1, 80), "nothing is cut"


def test_samples_that_could_not_be_read_have_a_shape() -> None:
    """All of a micro-batch may be damaged."""
    (part,) = pad_to_few_shapes([whole_batch(torch.full((4, 3), IGNORE_INDEX))], max_length=256)
    assert part.labels.shape == (4, 16)
    assert part.targets.tolist() == [IGNORE_INDEX] * 8


@pytest.mark.parametrize(("batch", "by_length"), [(1024, False), (64, True)])
def test_there_are_few_of_them(*, batch: int, by_length: bool) -> None:
    """Each is recorded for a second; lengths as they come are another shape for nearly every batch."""
    chance = np.random.default_rng(1)
    shapes, plain = set(), set()
    # as long as MathWriting's: most are short, a few very long
    lengths = np.minimum(3 + chance.lognormal(2.6, 0.7, 200 * batch).astype(np.int64), 200)
    windows = lengths.reshape(5, -1)
    for drawn in (np.sort(windows, axis=1) if by_length else windows).reshape(200, batch):
        parts = split_labels(labels_of(drawn.tolist()))
        plain.add(shape_of(parts))
        shapes.add(shape_of(pad_to_few_shapes(parts, max_length=256)))
    assert len(shapes) <= 24
    assert len(plain) > 5 * len(shapes)


def shape_of(parts: list[LabelPart]) -> tuple[tuple[int, ...], ...]:
    """The sizes that a compiled function sees."""
    return tuple((*part.labels.shape, len(part.places)) for part in parts)
