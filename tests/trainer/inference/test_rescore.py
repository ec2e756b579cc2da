"""Hypotheses judged from right to left."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from latexify.trainer.data.directions import reverse_labels
from latexify.trainer.data.label_parts import split_labels
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.inference.rescore import backward_scores, rescore
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.loop.loss import TokenLoss
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.model import LoadedModel, set_special_ids
from latexify.trainer.model.pretrained import load_base
from tests.support.trainer_data import HEIGHT_PX, WIDTH_PX, make_base, make_tokenizer

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A small model with random weights."""
    folder: Path = tmp_path_factory.mktemp("base")
    tokenizer = make_tokenizer(folder / "tokenizer")
    base = make_base(folder / "model", tokenizer)
    model = load_base(str(base), tokenizer=tokenizer, height_px=HEIGHT_PX, width_px=WIDTH_PX, dropout=0.0).eval()
    set_special_ids(model, tokenizer)
    geometry = Geometry(height_px=HEIGHT_PX, width_px=WIDTH_PX, margin_px=2, pen_width_px=1.5)
    return LoadedModel(model=model, tokenizer=tokenizer, geometry=geometry, fingerprint="")


@torch.inference_mode()
def test_scores_are_the_losses_of_training_from_right_to_left(loaded: LoadedModel) -> None:
    """With another start or order than in training, the second opinion would be noise."""
    pixels = np.random.default_rng(1).integers(0, 256, (3, HEIGHT_PX, WIDTH_PX), np.uint8)
    hypotheses = [[[5, 6, 7], [5, 6]], [[9]], [[4, 8, 4, 8, 10], [], [6, 5]]]
    inference = make_inference_model(loaded)
    ids = {"start_id": loaded.tokenizer.bos_token_id, "end_id": inference.end_id}
    scores = backward_scores(inference.decoder, inference.encode(pixels), hypotheses, **ids)
    assert [len(row) for row in scores] == [2, 1, 3]
    loss = TokenLoss(loaded.model)
    for picture, sample, row in zip(pixels, hypotheses, scores, strict=True):
        for tokens, score in zip(sample, row, strict=True):
            backward = torch.tensor([True])
            labels = reverse_labels(torch.tensor([[*tokens, inference.end_id]]), backward)
            expected = -loss(torch.from_numpy(picture[None]), split_labels(labels, backward)).item()
            assert score == pytest.approx(expected, abs=1e-3)


@torch.inference_mode()
def test_the_best_in_both_directions_comes_first(loaded: LoadedModel) -> None:
    """A second opinion that changes no order is wasted; one that ignores the first is worse than none."""
    pixels = np.random.default_rng(2).integers(0, 256, (1, HEIGHT_PX, WIDTH_PX), np.uint8)
    inference = make_inference_model(loaded)
    encoded = inference.encode(pixels)
    ids = {"start_id": loaded.tokenizer.bos_token_id, "end_id": inference.end_id}
    found = [[Hypothesis(ids=tokens, confidence=0.5, finished=True) for tokens in ([5, 6, 7], [9], [4, 8])]]
    [scores] = backward_scores(inference.decoder, encoded, [[each.ids for each in found[0]]], **ids)
    backward = [np.exp(score / (len(each.ids) + 1)) for score, each in zip(scores, found[0], strict=True)]
    [rescored] = rescore(inference.decoder, encoded, found, **ids)
    assert [each.ids for each in rescored] == [found[0][i].ids for i in np.argsort(backward)[::-1]]
    assert [each.confidence for each in rescored] == pytest.approx(
        sorted(np.sqrt(0.5 * np.array(backward)))[::-1], 1e-4
    )
    sure = [found[0][0], *(Hypothesis(ids=each.ids, confidence=1e-9, finished=True) for each in found[0][1:])]
    assert rescore(inference.decoder, encoded, [sure], **ids)[0][0].ids == [5, 6, 7]


def test_a_beam_search_with_one_direction_is_unchanged(loaded: LoadedModel) -> None:
    """Models of before have learned one direction only; greedy search has nothing to choose from."""
    pixels = np.random.default_rng(3).integers(0, 256, (2, HEIGHT_PX, WIDTH_PX), np.uint8)
    plain = make_inference_model(loaded)
    both = replace(plain, backward_start_id=loaded.tokenizer.bos_token_id)
    assert both.generate(pixels, max_tokens=8) == plain.generate(pixels, max_tokens=8)
    found, rescored = (model.generate(pixels, max_tokens=8, num_beams=3, num_best=3) for model in (plain, both))
    assert [sorted(each.ids for each in sample) for sample in rescored] == [
        sorted(each.ids for each in sample) for sample in found
    ]
    assert [best.confidence for [best] in both.generate(pixels, max_tokens=8, num_beams=3)] == [
        sample[0].confidence for sample in rescored
    ]
