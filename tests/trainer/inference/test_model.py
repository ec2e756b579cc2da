"""Inference gives what transformers' `generate` gives, in less time."""

from pathlib import Path

import numpy as np
import pytest
import torch

from latexify.trainer.inference import search as search_module
from latexify.trainer.inference.from_transformers import make_inference_model
from latexify.trainer.model.model import LoadedModel
from tests.support.reading_models import (
    KINDS,
    MAX_TOKENS,
    best_of,
    generate_by_transformers,
    make_loaded,
    max_new_tokens,
    random_pictures,
)

END = 2


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model of each kind."""
    return make_loaded(request.param, tmp_path_factory.mktemp(request.param))


def test_greedy_search_gives_what_transformers_gives(loaded: LoadedModel) -> None:
    """A cache, a fold or a position that is off by one gives other tokens without any error."""
    pixels = random_pictures(24)
    expected, _ = generate_by_transformers(loaded, pixels, num_beams=1)
    batch = best_of(loaded, pixels, max_tokens=MAX_TOKENS, stop_loops=False)
    assert [best.ids for best in batch] == expected
    assert [best.finished for best in batch] == [len(ids) < max_new_tokens(loaded) for ids in expected]
    assert len({tuple(ids) for ids in expected}) > 5  # otherwise this would prove little
    assert any(best.finished for best in batch)


@pytest.mark.parametrize("num_beams", [2, 3])
def test_beam_search_gives_what_transformers_gives(loaded: LoadedModel, num_beams: int) -> None:
    """The n best in their order, with the scores that confidences are made of."""
    pixels = random_pictures(12)
    expected, scores = generate_by_transformers(loaded, pixels, num_beams=num_beams)
    results = make_inference_model(loaded).generate(
        pixels.numpy(), max_tokens=MAX_TOKENS, num_beams=num_beams, num_best=num_beams, stop_loops=False
    )
    assert [best.ids for hypotheses in results for best in hypotheses] == expected
    confidences = np.array([best.confidence for hypotheses in results for best in hypotheses])
    assert np.allclose(confidences, np.exp(scores), atol=1e-4)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_other_pictures_and_dropping_change_nothing(
    loaded: LoadedModel, num_beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer must not depend on what else was asked at the same time."""
    pixels, model = random_pictures(9).numpy(), make_inference_model(loaded)
    alone = [model.generate(one[None], max_tokens=MAX_TOKENS, num_beams=num_beams)[0][0].ids for one in pixels]
    for fraction in (0.0, 0.5, 1.0):
        monkeypatch.setattr(search_module, "DROP_FRACTION", fraction)
        together = model.generate(pixels, max_tokens=MAX_TOKENS, num_beams=num_beams)
        assert [hypotheses[0].ids for hypotheses in together] == alone


@pytest.mark.parametrize("num_beams", [1, 3])
def test_a_model_that_loops_is_stopped(tmp_path: Path, num_beams: int) -> None:
    """Greedy and with beams: the answer is short and marked as unfinished."""
    loaded = make_loaded("hybrid", tmp_path)
    with torch.no_grad():
        table = loaded.model.decoder.get_input_embeddings().weight
        table.zero_()
        table[END], table[5] = -1.0, 1.0
        loaded.model.decoder.model.decoder.layers[-1].final_layer_norm.weight.zero_()
        loaded.model.decoder.model.decoder.layers[-1].final_layer_norm.bias.fill_(1.0)
    pixels = random_pictures(2).numpy()
    best = make_inference_model(loaded).generate(pixels, max_tokens=300, num_beams=num_beams)[0][0]
    assert best.ids == [5]
    assert not best.finished
