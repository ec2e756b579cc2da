"""The shipped model's graphs answer as its weights do, on real inks."""

from pathlib import Path

import pytest
import torch

from latexify.common.package_data import default_model
from latexify.pipeline.config import MAX_FILE_BYTES
from latexify.pipeline.inputs.archives import iter_members
from latexify.serve.recognizer import Recognizer

NUM_INKS = 986


@pytest.mark.real
def test_both_runtimes_read_all_test_inks_alike(real_data: Path) -> None:
    """`recognize` uses onnxruntime, and the published error rates are measured with torch."""
    torch.set_num_threads(1)
    by_torch, by_onnx = (
        Recognizer(default_model(), device="cpu", runtime=runtime, num_threads=1) for runtime in ("torch", "onnx")
    )
    members = iter_members(real_data / "crohme" / "test2014.tar.xz", max_bytes=MAX_FILE_BYTES)
    inks = [member.data for member in members if member.name.endswith(".inkml") and member.data is not None]
    pictures = [by_torch.picture_of(data) for data in inks]
    assert len(pictures) == NUM_INKS
    expected, actual = by_torch.read(pictures), by_onnx.read(pictures)
    assert [answer.latex for answer in actual] == [answer.latex for answer in expected]
    differences = [abs(a.confidence - b.confidence) for a, b in zip(actual, expected, strict=True)]
    assert max(differences) < 1e-3
