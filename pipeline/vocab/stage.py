"""Stage ``vocab``: make the tokenizer of the labels, and measure what it loses."""

import hashlib
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import jiwer
from transformers import PreTrainedTokenizerBase

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.artifacts.names import INKS, MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress, notice
from latexify.pipeline.config import VocabParams
from latexify.pipeline.grammar.allowances import LearntGrammar, learn_grammar, write_grammar
from latexify.pipeline.inks.ink import SPLITS
from latexify.pipeline.inks.table import read_batches, read_inks_manifest
from latexify.pipeline.latex import NORMALIZER_VERSION, normalize, tokenize
from latexify.pipeline.vocab.tokenizer import (
    build_latex_tokenizer,
    escape_own_special_tokens,
    latex_words,
    load_base_tokenizer,
    special_facts,
)

FORMAT_VERSION = 1
NUM_LISTED = 3  # labels that a warning shows
MAX_STORED = 100  # labels that the manifest lists


@dataclass(kw_only=True)
class Coverage:
    """What a tokenizer loses of the labels of one split, as counts."""

    num_labels: int = 0
    num_tokens: int = 0  # end tokens included
    num_characters: int = 0
    num_edits: int = 0  # of characters between the labels and the same encoded, decoded and normalized
    unknown: Counter[str] = field(default_factory=Counter)  # how often each text became the unknown token

    @property
    def round_trip_cer(self) -> float:
        """Return the edits per character."""
        return self.num_edits / self.num_characters if self.num_characters else 0.0


def run(params: VocabParams, *, base: str, inks: Location, out: Path, metrics: Path) -> dict[str, Any]:
    """Make the tokenizer folder `out` for the labels of an inks folder.

    `base` is the base model, for `params.tokenizer` = `base` and `latex_and_base`. Returns the metrics, which
    `metrics` (JSON) holds, too: `size`, `splits` with the coverage of each, and for LaTeX tokens `grammar`: what the
    training labels need beyond the strict grammar (`allowances`), and how many distinct ones cannot be written even so
    (`num_refused`).

    Raises LatexifyError if the inks are missing, or the base tokenizer cannot be loaded.
    """
    inks_manifest = read_inks_manifest(inks)
    labels = _read_labels(inks)
    if not any(labels.values()):
        raise LatexifyError(f"{inks} has no labels to make a tokenizer from: run `{INKS.producer}` again")
    facts: dict[str, Any] = {"tokenizer": params.tokenizer, "normalizer_version": NORMALIZER_VERSION}
    words: list[str] = []
    if params.tokenizer != "latex":
        tokenizer = load_base_tokenizer(base)
        # a hub name or folder may later hold another tokenizer
        facts |= {"base": base, "sha256": hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()}
        if params.tokenizer == "latex_and_base":
            words = _words_of(tokenizer, base=base)
    if params.tokenizer != "base":
        learnt = _vocabulary(_labels_to_learn(labels), min_count=params.min_count)
        # the base model's first, so that its tokens keep their ids
        tokenizer = build_latex_tokenizer(dict.fromkeys([*words, *learnt]))
        facts["min_count"] = params.min_count
    coverage, grammar = _measure_all(tokenizer, labels, params=params)
    _save(tokenizer, out)
    if grammar is not None:
        write_grammar(out, grammar.allowances)
    content = {
        "size": len(tokenizer),
        **special_facts(tokenizer),
        "coverage": {split: _summary(each) for split, each in coverage.items()},
        "unknown": {split: dict(each.unknown.most_common(20)) for split, each in coverage.items()},
    }
    result = {"size": content["size"], "splits": content["coverage"]}
    if grammar is not None:
        facts_of_grammar = _grammar_facts(grammar)
        content["grammar"] = facts_of_grammar
        result["grammar"] = {name: facts_of_grammar[name] for name in ("allowances", "num_refused")}
    write_json(metrics, result)
    inputs = {"inks": inks_manifest.fingerprint}
    manifest = Manifest(kind="tokenizer", version=FORMAT_VERSION, params=facts, inputs=inputs, content=content)
    write_manifest(out, manifest)
    return result


def _measure(tokenizer: PreTrainedTokenizerBase, labels: Counter[str], progress: Progress) -> Coverage:
    """Encode and decode normalized labels (with their counts) in batches."""
    coverage = Coverage()
    texts = iter(sorted(labels))
    while batch := list(islice(texts, 2048)):
        spelt = escape_own_special_tokens(tokenizer, batch)
        encoded = tokenizer(
            spelt, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True, verbose=False
        )
        decoded = tokenizer.batch_decode(encoded["input_ids"], skip_special_tokens=True)
        columns = (batch, spelt, encoded["input_ids"], encoded["offset_mapping"], decoded)
        for label, text, ids, spans, back in zip(*columns, strict=True):
            count = labels[label]
            coverage.num_labels += count
            coverage.num_tokens += count * (len(ids) + 1)
            coverage.num_characters += count * len(label)
            coverage.num_edits += count * _num_edits(label, back)
            for token_id, (begin, end) in zip(ids, spans, strict=True):
                if token_id == tokenizer.unk_token_id:
                    coverage.unknown[text[begin:end]] += count
        progress.advance(len(batch))
    return coverage


def _num_edits(label: str, decoded: str) -> int:
    if decoded == label or normalize(decoded) == label:
        return 0
    alignment = jiwer.process_characters(label, normalize(decoded))
    return int(alignment.substitutions + alignment.insertions + alignment.deletions)


def _read_labels(inks: Location) -> dict[str, Counter[str]]:
    """Count each normalized label, by split."""
    labels: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for batch in read_batches(inks, columns=["split", "normalized_label"]):
        columns = (batch.column("split").to_pylist(), batch.column("normalized_label").to_pylist())
        for split, label in zip(*columns, strict=True):
            labels[split][label] += 1
    return labels


def _labels_to_learn(labels: dict[str, Counter[str]]) -> Counter[str]:
    """Return the training labels; all labels where there are none, since no model can be trained with them then."""
    if labels["train"]:
        return labels["train"]
    notice("vocab: there are no training labels, so the tokenizer has the tokens of the other splits")
    return sum(labels.values(), Counter())


def _words_of(tokenizer: PreTrainedTokenizerBase, *, base: str) -> list[str]:
    """Return the LaTeX tokens of a base model, by id."""
    words = latex_words(tokenizer)
    if words is None:
        raise LatexifyError(
            f"vocab.tokenizer: the tokens of {base!r} are pieces of text, not LaTeX tokens: use `latex` or `base`"
        )
    return words


def _vocabulary(labels: Counter[str], *, min_count: int) -> list[str]:
    """Return the LaTeX tokens of the labels, most frequent first, ties by code point."""
    counts: Counter[str] = Counter()
    for label, count in labels.items():
        for token in tokenize(label):
            counts[token] += count
    del counts[" "]
    return sorted((token for token in counts if counts[token] >= min_count), key=lambda token: (-counts[token], token))


def _measure_all(
    tokenizer: PreTrainedTokenizerBase, labels: dict[str, Counter[str]], *, params: VocabParams
) -> tuple[dict[str, Coverage], LearntGrammar | None]:
    """Measure what the tokenizer loses, and learn the grammar of the training labels; None without LaTeX tokens."""
    splits = [split for split in labels if labels[split]]
    with Progress("vocab", total=sum(len(labels[split]) for split in splits), unit="distinct labels") as progress:
        coverage = {split: _measure(tokenizer, labels[split], progress) for split in splits}
        for split, each in coverage.items():
            if each.num_edits or each.unknown:
                progress.message(_warning(split, each))
        if params.tokenizer == "base":
            return coverage, None
        words = set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)
        grammar = learn_grammar(sorted(labels["train"]), vocabulary=words)
        if grammar.refused:
            progress.message(_refusal(grammar))
    return coverage, grammar


def _refusal(grammar: LearntGrammar) -> str:
    listed = ", ".join(repr(label[:80]) for label in grammar.refused[:NUM_LISTED])
    return (
        f"warning: constrained search cannot write {len(grammar.refused):,} of the distinct training labels, such as "
        f"{listed}: mend them (braces and environments in pairs, an argument for each command and script), or set "
        "predict.constrained to false"
    )


def _grammar_facts(grammar: LearntGrammar) -> dict[str, Any]:
    names = sorted(grammar.allowances.names)
    return {"allowances": names, "num_refused": len(grammar.refused), "refused": grammar.refused[:MAX_STORED]}


def _warning(split: str, coverage: Coverage) -> str:
    listed = ", ".join(f"{text!r} ({count})" for text, count in coverage.unknown.most_common(5))
    return (
        f"warning: the tokenizer loses {coverage.round_trip_cer:.3%} of the characters of the {split} labels; "
        f"{coverage.unknown.total()} unknown tokens" + (f": {listed}" if listed else "")
    )


def _summary(coverage: Coverage) -> dict[str, float]:
    counts = {name: value for name, value in asdict(coverage).items() if name != "unknown"}
    return {**counts, "num_unknown": coverage.unknown.total(), "round_trip_cer": coverage.round_trip_cer}


def _save(tokenizer: PreTrainedTokenizerBase, out: Path) -> None:
    """Save into `out`, after deleting the files of an earlier tokenizer, its manifest first."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / MANIFEST_NAME).exists():
        (out / MANIFEST_NAME).unlink()
        for path in out.iterdir():
            if path.is_file():
                path.unlink()
    tokenizer.save_pretrained(out)
