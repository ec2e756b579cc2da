"""Packed layers are used only where they work and are faster; that they equal torch's is tested in `test_layers`."""

import pytest
import torch

from latexify.fast import onednn


@pytest.mark.parametrize(("capability", "faster"), [("DEFAULT", False), ("AVX2", False), ("AVX512", True)])
def test_layers_are_packed_where_that_is_faster(
    monkeypatch: pytest.MonkeyPatch, capability: str, *, faster: bool
) -> None:
    """On a core with AVX2, packing makes one ink take 250 ms instead of 110."""
    monkeypatch.delenv("LATEXIFY_PLAIN", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    weight = torch.zeros(1, 1)
    assert onednn.is_packable(weight) == (faster and onednn.can_pack(weight))


def test_layers_are_plain_where_packing_is_unknown_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer torch may change private operators; the switch turns all fast paths off."""
    weight = torch.zeros(1, 1)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setenv("LATEXIFY_PLAIN", "1")
    assert not onednn.is_packable(weight)
    monkeypatch.delenv("LATEXIFY_PLAIN")
    monkeypatch.setattr(onednn, "NAMES", ("_gone",))
    assert not onednn.can_pack(weight)
    monkeypatch.undo()
    monkeypatch.setattr(onednn, "KNOWN_TORCH", ((0, 1), (0, 2)))
    assert not onednn.can_pack(weight)
