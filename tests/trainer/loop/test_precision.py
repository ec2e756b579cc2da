"""The device and its number format."""

import time
from pathlib import Path

import pytest
import torch

from latexify.trainer.loop.precision import Precision, choose_device, choose_precision, fit_to_device
from latexify.trainer.model import cpu_attention
from latexify.trainer.model.architecture import build

torch.set_num_threads(1)


def test_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 on a processor that emulates it is thirty times slower; on a T4 it is not there at all."""
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    for flags, name in (
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, "fp32"),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, "bf16"),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True}, "bf16"),
        ({"architecture": "arm64", "bf16": True}, "fp32"),
        ({}, "fp32"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=flags: found)
        assert choose_precision("auto", device=cpu).name == name
    for capability, name in (((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device, found=capability: found)
        assert choose_precision("auto", device=cuda).name == name
    assert choose_precision("bf16", device=cpu).name == "bf16"
    assert choose_precision("fp16", device=cuda).needs_scaler


def test_the_precision_of_a_processor_is_what_it_is_fast_in() -> None:
    """Against the flags' being wrong: where `auto` is bf16 a product of matrices must take less time in it."""
    if choose_precision("auto", device=torch.device("cpu")).name != "bf16":
        pytest.skip("bfloat16 is not the fastest on this processor, or not there")
    factors = {dtype: torch.ones(512, 512, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)}
    times: dict[torch.dtype, list[float]] = {dtype: [] for dtype in factors}
    for _ in range(20):
        for dtype, factor in factors.items():
            started = time.process_time()
            factor @ factor
            times[dtype].append(time.process_time() - started)
    assert min(times[torch.bfloat16]) < min(times[torch.float32])


def test_an_unusable_device_is_one_sentence() -> None:
    """A traceback from the middle of torch does not say what to type."""
    for name in ("cuda:77", "cpuu"):
        with pytest.raises(ValueError, match=f"device '{name}' cannot be used .* try --device cpu"):
            choose_device(name)


@pytest.mark.parametrize(("name", "expected"), [("bf16", cpu_attention.NAME), ("fp32", "sdpa")])
def test_the_faster_attention_is_not_exported(tmp_path: Path, name: str, expected: str) -> None:
    """It is right for bf16 on a CPU; the folder may be loaded anywhere."""
    model = build("tiny", vocab_size=20, height_px=32, width_px=64)
    fit_to_device(model, precision=Precision(name=name, device=torch.device("cpu")))
    assert model.encoder.config._attn_implementation == expected
    assert model.encoder.encoder.layer[0].attention.attention.config._attn_implementation == expected
    model.save_pretrained(tmp_path)
    assert cpu_attention.NAME not in (tmp_path / "config.json").read_text()
