"""Labels of finished shards, encoded and decoded."""

from pathlib import Path

import pytest

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.vocab.round_trip import RoundTrip, open_round_trip
from latexify.pipeline.vocab.tokenizer import build_latex_tokenizer, encode_labels


def test_lost_labels_are_counted_and_the_first_five_kept() -> None:
    """`latexify verify` must name labels that the tokenizer cannot write, and not call the shards damaged."""
    tokenizer = build_latex_tokenizer(["x", "+", r"\alpha"])
    round_trip = RoundTrip(tokenizer=tokenizer)
    labels = [r"x+\alpha", *(f"x+{digit}" for digit in range(7))]
    encoded = round_trip.encode(labels)
    assert [ids.tolist() for ids in encoded] == [ids.tolist() for ids in encode_labels(tokenizer, labels)]
    assert (round_trip.num_lost, round_trip.lost) == (7, labels[1:6])
    assert "7 labels, such as 'x+0'" in round_trip.describe()


def test_shards_of_another_tokenizer_are_refused(tmp_path: Path) -> None:
    """Their ids would be compared with those of the wrong vocabulary."""
    for name in ("tokenizer", "shards"):
        (tmp_path / name).mkdir()
    write_manifest(tmp_path / "tokenizer", Manifest(kind="tokenizer", version=1, params={}, inputs={}, content={}))
    shards = Manifest(kind="shards", version=1, params={}, inputs={"tokenizer": "another"}, content={})
    write_manifest(tmp_path / "shards", shards)
    with pytest.raises(LatexifyError, match="was made from another tokenizer"):
        open_round_trip(tmp_path / "tokenizer", shards=tmp_path / "shards")
