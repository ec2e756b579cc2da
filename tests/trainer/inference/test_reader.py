"""Reading with trained weights: what transformers would write, in less time."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from latexify.common.errors import LatexifyError
from latexify.trainer.inference import search as searching
from latexify.trainer.inference.reader import open_reader
from latexify.trainer.inference.repetition import LOOP_TOKENS, MAX_PERIOD, is_due, loop_start
from latexify.trainer.inference.transformers_reader import generate_ids, reader_of
from latexify.trainer.model.model import LoadedModel, max_positions, model_input
from tests.support.reading_models import KINDS, MAX_TOKENS, export_folder, make_loaded, random_pictures

CPU = torch.device("cpu")
END = 2


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=KINDS)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model of each kind."""
    return make_loaded(request.param, tmp_path_factory.mktemp(request.param))


def limit_of(loaded: LoadedModel) -> int:
    """Tokens that the model may write; one position is the start token's."""
    return min(MAX_TOKENS, max_positions(loaded.model) - 1)


def generated(loaded: LoadedModel, pixels: torch.Tensor, *, num_beams: int) -> tuple[list[list[int]], list[float]]:
    """Ids without start, end and padding, `num_beams` of each picture, and their scores, by transformers."""
    output = loaded.model.generate(
        pixel_values=model_input(pixels, loaded.model),
        num_beams=num_beams,
        num_return_sequences=num_beams,
        do_sample=False,
        max_length=1 + limit_of(loaded),
        return_dict_in_generate=True,
        output_scores=True,
    )
    rows = output.sequences[:, 1:].tolist()
    scores = output.sequences_scores.tolist() if num_beams > 1 else []
    return [row[: row.index(END)] if END in row else row for row in rows], scores


def test_greedy_search_writes_what_transformers_writes(loaded: LoadedModel) -> None:
    """A cache, a fold or a position that is off by one reads something else, and no error says so."""
    pixels = random_pictures(24)
    expected, _ = generated(loaded, pixels, num_beams=1)
    found = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=MAX_TOKENS, stop_loops=False)
    assert found.ids == expected
    assert found.finished.tolist() == [len(ids) < limit_of(loaded) for ids in expected]
    assert len({tuple(ids) for ids in expected}) > 5  # else this would prove little
    assert found.finished.any()


@pytest.mark.parametrize("num_beams", [2, 3])
def test_beam_search_finds_what_transformers_finds(loaded: LoadedModel, num_beams: int) -> None:
    """The n best in their order, with the scores that confidences are made of."""
    pixels = random_pictures(12)
    expected, scores = generated(loaded, pixels, num_beams=num_beams)
    found = reader_of(loaded).read(
        pixels, max_tokens=MAX_TOKENS, num_beams=num_beams, num_best=num_beams, stop_loops=False
    )
    assert [best.ids for hypotheses in found for best in hypotheses] == expected
    confidences = torch.tensor([best.confidence for hypotheses in found for best in hypotheses])
    assert torch.allclose(confidences, torch.tensor(scores).exp(), atol=1e-4)


@pytest.mark.parametrize("num_beams", [1, 3])
def test_neighbours_and_dropping_change_nothing(
    loaded: LoadedModel, num_beams: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer must not depend on what else was asked at the same time."""
    pixels, reader = random_pictures(9), reader_of(loaded)
    alone = [reader.read(one[None], max_tokens=MAX_TOKENS, num_beams=num_beams)[0][0].ids for one in pixels]
    for share in (0.0, 0.5, 1.0):
        monkeypatch.setattr(searching, "DROP_SHARE", share)
        together = reader.read(pixels, max_tokens=MAX_TOKENS, num_beams=num_beams)
        assert [hypotheses[0].ids for hypotheses in together] == alone


def test_a_folder_is_read_like_the_model_it_was_written_from(loaded: LoadedModel, tmp_path: Path) -> None:
    """The recogniser has the weights, but not transformers' classes."""
    pixels = random_pictures(10)
    trained = open_reader(export_folder(loaded, tmp_path / "model"), device=CPU)
    with torch.inference_mode():
        expected = reader_of(loaded).encode(pixels)
        assert torch.allclose(trained.reader.encode(pixels), expected, atol=1e-3 * expected.abs().max().item())
    expected_ids = generate_ids(loaded, pixels, num_beams=1, max_new_tokens=MAX_TOKENS).ids
    found = [hypotheses[0].ids for hypotheses in trained.reader.read(pixels, max_tokens=MAX_TOKENS)]
    assert found == expected_ids
    assert trained.texts(found) == loaded.texts(found)


def test_half_precision_is_read_in_single(tmp_path: Path) -> None:
    """Shipped weights are stored in 16 bits; computing in them is slow on a CPU, and less exact."""
    loaded = make_loaded("hybrid", tmp_path)
    folder = export_folder(loaded, tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    halves = {name: weight.half() if weight.is_floating_point() else weight for name, weight in weights.items()}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    reader = open_reader(folder, device=CPU).reader
    with torch.inference_mode():
        memory = reader.encode(random_pictures(2))
    assert memory.dtype == torch.float32
    assert reader.read(random_pictures(2), max_tokens=5)[0][0].confidence > 0


def test_other_encoders_are_read_by_transformers(tmp_path: Path) -> None:
    """Someone's own architecture must not be shut out of recognize and predict."""
    loaded = make_loaded("swin", tmp_path)
    trained = open_reader(export_folder(loaded, tmp_path / "model"), device=CPU)
    pixels = random_pictures(3)
    found = trained.reader.read(pixels, max_tokens=MAX_TOKENS, stop_loops=False)
    assert [hypotheses[0].ids for hypotheses in found] == generated(loaded, pixels, num_beams=1)[0]


def test_opening_a_folder_needs_no_transformers(tmp_path: Path, repository: Path) -> None:
    """Its import takes two seconds, of which a person who reads one formula would notice every one."""
    folder = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "model")
    code = (
        "import sys, torch; from pathlib import Path; from latexify.trainer.inference.reader import open_reader; "
        "open_reader(Path(sys.argv[1]), device=torch.device('cpu')); assert 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code, folder], cwd=repository, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").write_text("{"), "holds no whole model"),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "holds no whole model"),
        (lambda folder: (folder / "latexify.json").unlink(), "holds no whole model"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "holds no whole model"),
        (lambda folder: (folder / "manifest.json").unlink(), "latexify train"),
    ],
)
def test_a_damaged_folder_is_one_line(tmp_path: Path, damage: object, message: str) -> None:
    """Half a download is a common thing."""
    folder = export_folder(make_loaded("vit", tmp_path), tmp_path / "model")
    assert callable(damage)
    damage(folder)
    with pytest.raises(LatexifyError, match=message):
        open_reader(folder, device=CPU)


@pytest.mark.parametrize("period", [1, 2, MAX_PERIOD])
def test_loops_are_cut_after_their_first_round(period: int) -> None:
    """A model that lost its place must not fill the page, or the time of the one who waits."""
    beginning, loop = [90, 91, 92], list(range(period))
    rounds = -(-LOOP_TOKENS // period)
    ids = beginning + loop * rounds
    start = loop_start(ids)
    assert start is not None
    assert ids[:start] == beginning + loop
    assert loop_start(beginning + loop * (rounds - 1)) is None or period * (rounds - 1) >= LOOP_TOKENS


def test_long_formulas_are_no_loops() -> None:
    """A wide matrix of zeros repeats itself, too."""
    row = [1, 2] * 8 + [3]
    assert loop_start(row * 6) is None
    assert loop_start([5] * (LOOP_TOKENS - 1)) is None
    assert not is_due(LOOP_TOKENS - 16)


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
    best = reader_of(loaded).read(random_pictures(2), max_tokens=300, num_beams=num_beams)[0][0]
    assert best.ids == [5]
    assert not best.finished
