"""The training inks of a dataset and what validation and test hold, by the very rules that ingest splits by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from joblib import delayed

from latexify.common.progress import Progress
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest.chunks import Chunk, iter_chunks
from latexify.pipeline.ingest.labels import read_texts
from latexify.pipeline.inkml.document import parse_inkml, read_document
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.table import content_hash
from latexify.pipeline.inputs.inputs import SourcePlan, key_of
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.cutting import CutSymbol, Group, cut_symbols

LIMITS = IngestParams(max_file_bytes=1 << 28, max_points=5_000_000, max_label_chars=1_000_000)
"""Beyond any that ingest might be given: what it may take into validation or test must be known here."""

Divisions = Mapping[str, Sequence[tuple[str, Sequence[int]]]]
"""By sample id, the symbols of an ink as label and stroke numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInk:
    """An ink of the training split. label: normalised. folder: of its file, hands of one style perhaps."""

    key: str
    folder: str
    writer: str | None
    label: str
    symbols: Sequence[CutSymbol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What composing may use, and what it must not repeat.

    inks: in the order of the inputs. held_out_labels: normalised labels of validation and test inks.
    """

    inks: Sequence[TrainingInk]
    held_out_labels: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    ink: TrainingInk
    split: str
    content_hash: str


def gather(plan: SourcePlan, *, base: Path, divisions: Divisions, engine: Engine) -> Material:
    """Read every ink of a dataset.

    Training inks with the strokes of a validation or test ink are left out, as ingest leaves them out.
    Raises LatexifyError where an input is damaged or has changed.
    """
    found: list[_Found] = []
    chunks = iter_chunks(plan, base=base, max_file_bytes=LIMITS.max_file_bytes, read_by_workers=False)
    with Progress("source", total=None, unit="inks cut") as progress:
        calls = (delayed(_read_chunk)(chunk, plan=plan, divisions=_of_chunk(divisions, chunk)) for chunk in chunks)
        for batch in engine.run(calls, in_order=True):
            found += batch
            progress.advance(len(batch))
    held_out = [each for each in found if each.split != "train"]
    hashes = {each.content_hash for each in held_out}
    return Material(
        inks=[each.ink for each in found if each.split == "train" and each.content_hash not in hashes],
        held_out_labels=frozenset(each.ink.label for each in held_out),
    )


def _of_chunk(divisions: Divisions, chunk: Chunk) -> Divisions:
    """Only what a worker needs."""
    if not divisions:
        return {}
    names = [_stem(member.name) for _, member in chunk.members]
    return {name: divisions[name] for name in names if name in divisions}


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _read_chunk(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> list[_Found]:
    return list(_iter_found(chunk, plan=plan, divisions=divisions))


def _iter_found(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> Iterator[_Found]:
    """Whatever ingest refuses is passed over: it will be neither trained nor judged on."""
    normalize_once = lru_cache(maxsize=None)(normalize)
    for item, member in chunk.members:
        if member.data is None:
            continue
        try:
            document = read_document(member.data, max_file_bytes=LIMITS.max_file_bytes)
            texts = read_texts(
                document,
                path=member.name,
                item=item,
                plan=plan,
                max_label_chars=LIMITS.max_label_chars,
                normalize=normalize_once,
            )
            strokes = parse_inkml(
                member.data, max_file_bytes=LIMITS.max_file_bytes, max_points=LIMITS.max_points
            ).strokes
            symbols: list[CutSymbol] = []
            if texts.split == "train":
                division = divisions.get(_stem(member.name))
                symbols = cut_symbols(
                    parse_xml(member.data),
                    label=texts.normalized_label,
                    max_points=LIMITS.max_points,
                    normalize=normalize_once,
                    groups=None if division is None else _groups_of(division, num_strokes=len(strokes)),
                )
        except UnusableInkError:
            continue
        key = item.key_prefix + key_of(member.name)
        ink = TrainingInk(
            key=key,
            folder=f"{item.name}/{member.name}".rpartition("/")[0],
            writer=texts.writer,
            label=texts.normalized_label,
            symbols=symbols,
        )
        yield _Found(ink=ink, split=texts.split, content_hash=content_hash(strokes))


def _groups_of(division: Sequence[tuple[str, Sequence[int]]], *, num_strokes: int) -> list[Group]:
    """The symbols that a symbol file names, those left out whose strokes the ink does not have."""
    return [
        Group(label=normalize(label), traces=sorted(strokes), place=None)
        for label, strokes in division
        if strokes and 0 <= min(strokes) <= max(strokes) < num_strokes
    ]


def without_labels(material: Material, labels: frozenset[str]) -> Material:
    """The material without the inks that bear one of these labels."""
    return replace(material, inks=[ink for ink in material.inks if ink.label not in labels])
