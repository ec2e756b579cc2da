"""The loss: the same whether a batch is decoded as a whole or in parts of like length."""

from pathlib import Path

import pytest
import torch

from latexify.trainer.data import label_parts
from latexify.trainer.data.collate import IGNORE_INDEX
from latexify.trainer.data.label_parts import LabelPart, pad_to_few_shapes, split_labels, whole_batch
from latexify.trainer.loop.loss import TokenLoss, token_loss
from latexify.trainer.model.architecture import build
from latexify.trainer.model.model import model_input
from tests.support.trainer_data import HEIGHT_PX, LENGTHS, WIDTH_PX, labels_of, make_tokenizer


def test_parts_change_neither_loss_nor_gradient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another loss would be another training; and batch norms must still see the whole batch."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    torch.manual_seed(1)
    model = build("tiny", vocab_size=len(tokenizer), height_px=HEIGHT_PX, width_px=WIDTH_PX).train()
    model.config.decoder_start_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    pixels = torch.randint(0, 256, (len(LENGTHS), HEIGHT_PX, WIDTH_PX), dtype=torch.uint8)
    found = []
    for waste in (2.0, label_parts.MIN_WASTE):  # more than everything: always whole
        monkeypatch.setattr(label_parts, "MIN_WASTE", waste)
        model.zero_grad()
        value = token_loss(model, pixels, labels_of(LENGTHS), label_smoothing=0.1)
        value.backward()  # type: ignore[no-untyped-call]
        found.append((value.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
    (whole, expected), (parts, gradients) = found
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=0)
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_without_logits_has_the_loss_of_all_logits(tmp_path: Path, smoothing: float) -> None:
    """The former way: logits of every position, by transformers' own model, and a loss that ignores padding."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    torch.manual_seed(1)
    model = build("tiny", vocab_size=len(tokenizer), height_px=HEIGHT_PX, width_px=WIDTH_PX).train()
    model.config.decoder_start_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    pixels = torch.randint(0, 256, (4, HEIGHT_PX, WIDTH_PX), dtype=torch.uint8)
    labels = labels_of([3, 9, 1, 5])
    shapes = []
    model.decoder.output_projection.register_forward_hook(lambda _m, _a, output: shapes.append(output.shape))
    found = TokenLoss(model, label_smoothing=smoothing)(pixels, [whole_batch(labels)])
    gradients = torch.autograd.grad(found, list(model.decoder.parameters()))
    assert [tuple(shape) for shape in shapes] == [(18, len(tokenizer))], "18 tokens, 36 places"
    start = torch.full((4, 1), tokenizer.eos_token_id)
    ids = torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORE_INDEX, tokenizer.pad_token_id)], dim=1)
    logits = model(pixel_values=model_input(pixels, model), decoder_input_ids=ids, use_cache=False).logits
    expected = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX, reduction="sum", label_smoothing=smoothing
    )
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    for one, other in zip(gradients, torch.autograd.grad(expected, list(model.decoder.parameters())), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_few_shapes_change_neither_loss_nor_gradient(tmp_path: Path, smoothing: float) -> None:
    """They are for the compiler; what is learned must be the same with and without it."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    torch.manual_seed(1)
    model = build("tiny", vocab_size=len(tokenizer), height_px=HEIGHT_PX, width_px=WIDTH_PX).train()
    model.config.decoder_start_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    pixels = torch.randint(0, 256, (len(LENGTHS), HEIGHT_PX, WIDTH_PX), dtype=torch.uint8)
    parts = split_labels(labels_of(LENGTHS))
    padded = pad_to_few_shapes(parts, max_length=256)
    assert [part.labels.shape[1] for part in padded] != [part.labels.shape[1] for part in parts]
    found = []
    for ones in (parts, padded):
        model.zero_grad()
        value = TokenLoss(model, label_smoothing=smoothing)(pixels, ones)
        value.backward()
        found.append((value.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}))
    (plain, expected), (few, gradients) = found
    torch.testing.assert_close(few, plain, rtol=1e-5, atol=0)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_part_of_damaged_samples_only_adds_nothing(tmp_path: Path) -> None:
    """All of a micro-batch may be unreadable; its gradient is zero, and every rank still has one to exchange."""
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    model = build("tiny", vocab_size=len(tokenizer), height_px=HEIGHT_PX, width_px=WIDTH_PX)
    model.config.decoder_start_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    labels = torch.full((2, 4), IGNORE_INDEX)
    part: LabelPart = whole_batch(labels)
    assert not part.places.numel()
    loss = TokenLoss(model)(torch.full((2, HEIGHT_PX, WIDTH_PX), 255, dtype=torch.uint8), [part])
    assert loss.item() == 0
    loss.backward()
    gradient = model.decoder.output_projection.weight.grad
    assert gradient is not None
    assert not gradient.any()
