"""Layers by oneDNN, and batches side by side: faster than torch's own, and the same numbers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from latexify.trainer.inference import layers
from latexify.trainer.inference.from_transformers import reader_of
from latexify.trainer.inference.layers import Convolution, Linear, can_pack, is_packable
from latexify.trainer.inference.threads import run_in_threads
from tests.support.reading_models import make_loaded, random_pictures


@pytest.fixture(params=[True, False], ids=["packed", "torch's own"])
def _layout(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways: by oneDNN where this machine has it, be it the faster or not, and as on a GPU."""
    if request.param and not can_pack(torch.zeros(1, 1)):
        pytest.skip("torch was built without oneDNN, or this is no x86")
    monkeypatch.setattr(layers, "is_packable", can_pack if request.param else lambda _: False)


@pytest.mark.parametrize(("capability", "faster"), [("DEFAULT", False), ("AVX2", False), ("AVX512", True)])
def test_processors_are_given_what_is_faster_on_them(
    monkeypatch: pytest.MonkeyPatch, capability: str, *, faster: bool
) -> None:
    """One ink took 250 ms rather than 110 on a core with AVX2, for what makes others faster."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    weight = torch.zeros(1, 1)
    assert is_packable(weight) == (faster and can_pack(weight))


@pytest.mark.usefixtures("_layout")
@pytest.mark.parametrize("rows", [(1,), (7,), (64,), (3, 50)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_linear_layer_is_torchs(rows: tuple[int, ...], *, has_bias: bool) -> None:
    """Weights are laid out for one number of rows; at another they must not be read in the wrong order."""
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(40, 24, generator=generator), torch.randn(40, generator=generator)
    hidden = torch.randn(*rows, 24, generator=generator)
    found = Linear(weight, bias if has_bias else None)(hidden)
    assert torch.allclose(found, functional.linear(hidden, weight, bias if has_bias else None), atol=1e-5)


@pytest.mark.usefixtures("_layout")
@pytest.mark.parametrize(
    ("channels", "kernel", "stride", "padding"),
    [
        (1, (7, 7), (2, 2), (3, 3)),
        (8, (3, 3), (1, 1), (1, 1)),
        (8, (1, 1), (2, 2), (0, 0)),
        (1, (4, 8), (4, 8), (0, 0)),
    ],
)
def test_a_convolution_is_torchs(
    channels: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
) -> None:
    """The stem, a block's, a shortcut and patches: with a shift or a stride wrong, everything would be read wrong."""
    generator = torch.Generator().manual_seed(1)
    weight, bias = torch.randn(16, channels, *kernel, generator=generator), torch.randn(16, generator=generator)
    hidden = torch.randn(3, channels, 16, 24, generator=generator)
    convolve = Convolution(weight, bias, stride=stride, padding=padding)
    expected = functional.conv2d(hidden, weight, bias, stride, padding)
    beside = torch.randn(expected.shape, generator=generator)
    assert torch.allclose(convolve(hidden), expected, atol=1e-4)
    assert torch.allclose(convolve.relu(hidden), expected.relu(), atol=1e-4)
    assert torch.allclose(convolve.relu(hidden, beside=beside.clone()), (expected + beside).relu(), atol=1e-4)


@pytest.mark.usefixtures("_layout")
def test_validation_in_another_format_reads_in_float32(tmp_path: Path) -> None:
    """Training validates under autocast, which knows nothing of packed weights."""
    reader = reader_of(make_loaded("hybrid", tmp_path))
    with torch.inference_mode():
        memory = reader.encode(random_pictures(4))
        tokens = torch.full((4,), 2)
        expected = reader.decoder.step(reader.decoder.start(memory), tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = reader.decoder.step(reader.decoder.start(memory), tokens)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.fixture
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("_two_threads")
def test_batches_run_at_once_and_come_in_their_order() -> None:
    """Answers that changed places would be those of other inks."""
    together = threading.Barrier(2, timeout=20)

    def work(number: int) -> tuple[int, int]:
        if number < 2:
            together.wait()  # breaks where they come one after another
        return number, torch.get_num_threads()

    assert list(run_in_threads(work, range(9), num_threads=2)) == [(number, 1) for number in range(9)]
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("_two_threads")
def test_batches_are_taken_a_few_ahead() -> None:
    """All pictures of a split at once would fill the memory."""
    taken: list[int] = []
    results = run_in_threads(lambda number: number, (taken.append(i) or i for i in range(50)), num_threads=2)
    assert next(results) == 0
    assert len(taken) == 3
    results.close()  # type: ignore[attr-defined]  # a generator's


@pytest.mark.usefixtures("_two_threads")
def test_an_error_reaches_the_caller() -> None:
    """A batch that cannot be read must not be left out in silence."""

    def work(number: int) -> int:
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(run_in_threads(work, range(9), num_threads=2))


def test_one_thread_reads_one_batch_at_a_time() -> None:
    """On a GPU two batches would want twice the memory that `predict.batch_size` was set for."""
    threads = set(run_in_threads(lambda _: threading.get_ident(), range(3), num_threads=1))
    assert threads == {threading.get_ident()}
