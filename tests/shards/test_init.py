"""`latexify.shards` gives its one public name on first use."""

import pytest

from latexify import shards
from latexify.shards.webdataset import open_shards


def test_the_public_name_is_there_and_no_other() -> None:
    """`from latexify.shards import open_shards` stands in notebooks; a misspelt name must be an ImportError."""
    assert shards.open_shards is open_shards
    with pytest.raises(AttributeError, match="no attribute 'open_shard'"):
        _ = shards.open_shard
