"""The stage `vocab`: a tokenizer for the labels, and how much of them survives it."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import jiwer
from transformers import PreTrainedTokenizerBase

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import VocabParams
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inks.table import read_batches, read_inks_manifest
from latexify.pipeline.latex import NORMALIZER_VERSION, normalize, tokenize
from latexify.pipeline.vocab.tokenizer import (
    build_latex_tokenizer,
    encode_labels,
    load_base_tokenizer,
    load_tokenizer,
    special_facts,
    without_special_tokens,
)

__all__ = ["Coverage", "encode_labels", "load_tokenizer", "measure_coverage", "run"]

FORMAT_VERSION = 1
_BATCH_LABELS = 2048
_NUM_LISTED = 20


@dataclass(kw_only=True)
class Coverage:
    """What a tokenizer loses of the labels of one split; counts, so that they add up.

    num_edits: characters to insert, delete or replace until the labels, encoded, decoded and normalised, are themselves
    again. unknown: how often each text had no token but the unknown one.
    """

    num_labels: int = 0
    num_tokens: int = 0
    num_characters: int = 0
    num_edits: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def round_trip_cer(self) -> float:
        """Edits per character, 0 where nothing is lost."""
        return self.num_edits / self.num_characters if self.num_characters else 0.0


def run(params: VocabParams, *, base: str, inks: Location, out: Path, metrics: Path) -> dict[str, Any]:
    """Make the tokenizer folder `out` for the labels of `inks`, and write and return the metrics.

    base: the base model, for `params.tokenizer` = `base`.

    Raises LatexifyError where the inks are missing or have no training label, or the base tokenizer cannot be loaded.
    """
    inks_manifest = read_inks_manifest(inks)
    labels = _read_labels(inks)
    if not labels["train"]:
        raise LatexifyError(f"{inks} holds no training labels: a tokenizer cannot be made, check the splits")
    recipe: dict[str, Any] = {"tokenizer": params.tokenizer, "normalizer_version": NORMALIZER_VERSION}
    if params.tokenizer == "latex":
        tokenizer = build_latex_tokenizer(_vocabulary(labels["train"], min_count=params.min_count))
        recipe["min_count"] = params.min_count
    else:
        tokenizer = load_base_tokenizer(base)
        recipe |= {"base": base, "sha256": _content_hash(tokenizer)}
    coverage = _measure_all(tokenizer, labels)
    _save(tokenizer, out)
    content = {
        "size": len(tokenizer),
        **special_facts(tokenizer),
        "coverage": {split: _summary(found) for split, found in coverage.items()},
        "unknown": {split: dict(found.unknown.most_common(_NUM_LISTED)) for split, found in coverage.items()},
    }
    result = {"size": content["size"], "splits": content["coverage"]}
    write_json(metrics, result)
    manifest = Manifest(
        kind="tokenizer",
        version=FORMAT_VERSION,
        params=recipe,
        inputs={"inks": inks_manifest.fingerprint},
        content=content,
    )
    write_manifest(out, manifest)
    return result


def measure_coverage(tokenizer: PreTrainedTokenizerBase, labels: Counter[str]) -> Iterator[tuple[int, Coverage]]:
    """Encode and decode `labels` (normalised label and how often it occurs) in batches.

    Yields the number of distinct labels done since the last time, and the coverage of all so far.
    """
    coverage = Coverage()
    texts = sorted(labels)
    for start in range(0, len(texts), _BATCH_LABELS):
        batch = texts[start : start + _BATCH_LABELS]
        spelt = without_special_tokens(tokenizer, batch)
        encoded = tokenizer(
            spelt, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )
        decoded = tokenizer.batch_decode(encoded["input_ids"], skip_special_tokens=True)
        for label, text, ids, spans, back in zip(
            batch, spelt, encoded["input_ids"], encoded["offset_mapping"], decoded, strict=True
        ):
            count = labels[label]
            coverage.num_labels += count
            coverage.num_tokens += count * (len(ids) + 1)
            coverage.num_characters += count * len(label)
            coverage.num_edits += count * _num_edits(label, back)
            for token_id, (begin, end) in zip(ids, spans, strict=True):
                if token_id == tokenizer.unk_token_id:
                    coverage.unknown[text[begin:end]] += count
        yield len(batch), coverage


def _num_edits(label: str, decoded: str) -> int:
    if decoded == label or normalize(decoded) == label:
        return 0
    alignment = jiwer.process_characters(label, normalize(decoded))
    return int(alignment.substitutions + alignment.insertions + alignment.deletions)


def _read_labels(inks: Location) -> dict[str, Counter[str]]:
    """How often each normalised label occurs, by split."""
    labels: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for batch in read_batches(inks, columns=["split", "normalized_label"]):
        columns = (batch.column("split").to_pylist(), batch.column("normalized_label").to_pylist())
        for split, label in zip(*columns, strict=True):
            labels[split][label] += 1
    return labels


def _vocabulary(labels: Counter[str], *, min_count: int) -> list[str]:
    """LaTeX tokens of the labels, the commonest first, equally common ones by code point."""
    counts: Counter[str] = Counter()
    for label, count in labels.items():
        for token in tokenize(label):
            counts[token] += count
    del counts[" "]
    return sorted((token for token in counts if counts[token] >= min_count), key=lambda token: (-counts[token], token))


def _measure_all(tokenizer: PreTrainedTokenizerBase, labels: dict[str, Counter[str]]) -> dict[str, Coverage]:
    coverage = {split: Coverage() for split in labels if labels[split]}
    with Progress("vocab", total=sum(len(labels[split]) for split in coverage), unit="distinct labels") as progress:
        for split in coverage:
            for num_done, found in measure_coverage(tokenizer, labels[split]):
                progress.advance(num_done)
                coverage[split] = found
        for split, found in coverage.items():
            if found.num_edits or found.unknown:
                progress.message(_warning(split, found))
    return coverage


def _warning(split: str, found: Coverage) -> str:
    listed = ", ".join(f"{text!r} ({count})" for text, count in found.unknown.most_common(5))
    return (
        f"warning: the tokenizer loses {found.round_trip_cer:.3%} of the characters of the {split} labels; "
        f"{found.unknown.total()} unknown tokens" + (f": {listed}" if listed else "")
    )


def _summary(found: Coverage) -> dict[str, float]:
    counts = {name: value for name, value in asdict(found).items() if name != "unknown"}
    return {**counts, "num_unknown": found.unknown.total(), "round_trip_cer": found.round_trip_cer}


def _content_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of what a base tokenizer does, for a hub name or a folder may come to hold another."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def _save(tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Save into `out`, which loses the files of an earlier tokenizer, its manifest first."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / MANIFEST_NAME).exists():
        (out / MANIFEST_NAME).unlink()
        for path in out.iterdir():
            if path.is_file():
                path.unlink()
    tokenizer.save_pretrained(out)
