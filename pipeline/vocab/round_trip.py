"""Encode and decode the labels of finished shards, for ``latexify verify``."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from transformers import PreTrainedTokenizerBase

from latexify.artifacts.location import Location, is_local
from latexify.artifacts.manifest import read_manifest, require_input
from latexify.artifacts.names import SHARDS, TOKENIZER
from latexify.pipeline.latex import normalize
from latexify.pipeline.vocab.tokenizer import TokenIds, encode_labels, load_tokenizer


@dataclass(kw_only=True)
class RoundTrip:
    """Encodes labels, and counts those that decoding does not restore because of unknown tokens.

    Such labels are not damage: the shards hold what the tokenizer makes of them.
    """

    tokenizer: PreTrainedTokenizerBase
    num_lost: int = 0
    lost: list[str] = field(default_factory=list)  # the first few

    def encode(self, labels: Sequence[str]) -> list[TokenIds]:
        """Encode normalized labels: int32 [num_tokens] each, the end id last."""
        encoded = encode_labels(self.tokenizer, labels)
        decoded = self.tokenizer.batch_decode([ids[:-1].tolist() for ids in encoded], skip_special_tokens=True)
        for label, back in zip(labels, decoded, strict=True):
            # tokenizers of base models may insert spaces
            if back != label and normalize(back) != label:
                self.num_lost += 1
                self.lost = [*self.lost, label][:5]
        return encoded

    def describe(self) -> str:
        """Describe the lost labels in one line."""
        return (
            f"{self.num_lost:,} labels, such as {self.lost[0]!r}, hold tokens that the tokenizer does not know: "
            "metrics/vocab.json counts them"
        )


def open_round_trip(tokenizer: Location, *, shards: Location) -> RoundTrip:
    """Load the tokenizer that the shards were made with.

    Raises LatexifyError if either folder is incomplete, or the shards were made with another tokenizer.
    """
    made_with = read_manifest(tokenizer, TOKENIZER)
    require_input(read_manifest(shards, SHARDS), made_with, where=shards)
    assert is_local(tokenizer), "transformers loads from a local folder"
    return RoundTrip(tokenizer=load_tokenizer(tokenizer))
