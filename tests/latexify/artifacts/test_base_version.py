"""The version of a model to start from."""

from pathlib import Path

import pytest

from latexify.artifacts.base_version import folder_version, hub_version
from latexify.common.errors import LatexifyError


def test_a_folder_is_known_by_what_is_read_from_it(tmp_path: Path) -> None:
    """Names and contents count, a model card does not."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "config.json").write_bytes(b"{}")
    first = folder_version(tmp_path)
    (tmp_path / "README.md").write_bytes(b"a card")
    assert folder_version(tmp_path) == first
    (tmp_path / "config.json").rename(tmp_path / "tokenizer.json")
    assert folder_version(tmp_path) != first


def test_a_hub_name_that_is_none_is_one_line() -> None:
    """The exceptions of the Hub's client do not get through."""
    with pytest.raises(LatexifyError, match="the commit of a/b/c on the Hub is not known"):
        hub_version("a/b/c")
