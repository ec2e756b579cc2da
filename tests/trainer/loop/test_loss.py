"""The loss: the same whether a batch is decoded as a whole or in parts of like length."""

from pathlib import Path

import pytest
import torch

from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.loop import loss
from latexify.trainer.loop.loss import MIN_PART, split_labels, token_loss
from latexify.trainer.model.architecture import build
from tests.support.trainer_data import HEIGHT_PX, WIDTH_PX, make_tokenizer

LENGTHS = [3, 40, 5, 2, 30, 7, 4, 12, 6, 25, 3, 9, 33, 2, 8, 5]


def labels_of(lengths: list[int]) -> torch.Tensor:
    """Labels of these lengths: int64 [batch, longest]."""
    labels = torch.full((len(lengths), max(lengths)), IGNORE_INDEX)
    for row, length in enumerate(lengths):
        labels[row, :length] = torch.arange(length) % 5 + 3
    return labels


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


def test_parts_change_neither_loss_nor_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another loss would be another training; and batch norms must still see the whole batch."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    torch.manual_seed(1)
    model = build("tiny", vocab_size=len(tokenizer), height_px=HEIGHT_PX, width_px=WIDTH_PX).train()
    model.config.decoder_start_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    pixels = torch.randint(0, 256, (len(LENGTHS), HEIGHT_PX, WIDTH_PX), dtype=torch.uint8)
    found = []
    for waste in (2.0, loss.MIN_WASTE):  # more than everything: always whole
        monkeypatch.setattr(loss, "MIN_WASTE", waste)
        model.zero_grad()
        value = token_loss(model, pixels, labels_of(LENGTHS), label_smoothing=0.1)
        value.backward()  # type: ignore[no-untyped-call]
        found.append((value.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
    (whole, expected), (parts, gradients) = found
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=0)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4, msg=name)
