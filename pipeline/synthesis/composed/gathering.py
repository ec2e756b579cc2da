"""The training inks of a dataset, cut into symbols, and the labels of validation and test, split as ingest splits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

from joblib import delayed

from latexify.common.progress import Progress
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest.chunks import Chunk, iter_chunks
from latexify.pipeline.ingest.labels import InkTexts, read_texts
from latexify.pipeline.inkml.document import document_of
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.table import content_hashes
from latexify.pipeline.inputs.inputs import SourcePlan, key_of
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis.composed.cutting import CutSymbol, TraceGroup, cut_symbols, holds_point, trace_groups

LIMITS = IngestParams(max_file_bytes=1 << 28, max_points=5_000_000, max_label_chars=1_000_000)
"""Above any limits of ingest: every ink that it might take into validation or test must be seen here."""

Divisions = Mapping[str, Sequence[tuple[str, Sequence[int]]]]
"""By sample id, the symbols of an ink as label and stroke indices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInk:
    """An ink of the training split. label: normalised. folder: of its file."""

    key: str
    folder: str
    writer: str | None
    label: str
    symbols: Sequence[CutSymbol]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The inputs of composing.

    inks: training inks in the order of the inputs. held_out_labels: normalised labels of validation and test inks,
    which must not be repeated.
    """

    inks: Sequence[TrainingInk]
    held_out_labels: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ReadInk:
    ink: TrainingInk
    split: str
    content_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    key: str
    folder: str
    texts: InkTexts
    traces: TraceTexts
    groups: Sequence[TraceGroup]


def gather(plan: SourcePlan, *, base: Path, divisions: Divisions, engine: Engine) -> Material:
    """Read every ink of a dataset. Training inks with the strokes of a held-out ink are left out, as in ingest.

    Args:
        plan: The inputs.
        base: The source folder.
        divisions: Symbols of inks that have no trace groups.
        engine: Where the chunks are read.

    Raises:
        LatexifyError: If an input is damaged or has changed.
    """
    inks: list[_ReadInk] = []
    chunks = iter_chunks(plan, base=base, max_file_bytes=LIMITS.max_file_bytes, read_by_workers=False)
    with Progress("source", total=None, unit="inks cut") as progress:
        calls = (delayed(_read_chunk)(chunk, plan=plan, divisions=_of_chunk(divisions, chunk)) for chunk in chunks)
        for batch in engine.run(calls, in_order=True):
            inks += batch
            progress.advance(len(batch))
    held_out = [each for each in inks if each.split != "train"]
    hashes = {each.content_hash for each in held_out}
    return Material(
        inks=[each.ink for each in inks if each.split == "train" and each.content_hash not in hashes],
        held_out_labels=frozenset(each.ink.label for each in held_out),
    )


def _of_chunk(divisions: Divisions, chunk: Chunk) -> Divisions:
    """Only the divisions that a worker needs."""
    names = {_stem(member.name) for _, member in chunk.members} if divisions else set()
    return {name: divisions[name] for name in names if name in divisions}


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _read_chunk(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> list[_ReadInk]:
    """Read the inks of a chunk, their numbers together. Inks that ingest rejects are neither cut nor held out."""
    documents = _read_documents(chunk, plan=plan, divisions=divisions)
    columns, _ = parse_traces([document.traces for document in documents], max_points=LIMITS.max_points)
    is_ink = columns.num_strokes > 0  # refused inks have no strokes either
    hashes, strokes = iter(content_hashes(columns.take(is_ink))), iter(columns.strokes())
    inks = []
    for document, num_strokes in zip(documents, columns.num_strokes.tolist(), strict=True):
        if num_strokes:
            own, texts, label = list(islice(strokes, num_strokes)), document.texts, document.texts.normalized_label
            is_training = texts.split == "train"
            symbols = cut_symbols(document.traces.texts, own, document.groups, label=label) if is_training else []
            ink = TrainingInk(
                key=document.key, folder=document.folder, writer=texts.writer, label=label, symbols=symbols
            )
            inks.append(_ReadInk(ink=ink, split=texts.split, content_hash=next(hashes)))
    return inks


def _read_documents(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> list[_Document]:
    """Parse the XML of a chunk, training inks with their groups."""
    normalize_once = cache(normalize)
    documents = []
    for item, member in chunk.members:
        if member.data is None:
            continue
        try:
            root = parse_xml(member.data)
            document = document_of(root)
            texts = read_texts(
                document,
                path=member.name,
                item=item,
                plan=plan,
                max_label_chars=LIMITS.max_label_chars,
                normalize=normalize_once,
            )
        except UnusableInkError:
            continue
        division, groups = divisions.get(_stem(member.name)), list[TraceGroup]()
        if texts.split == "train":
            if division is None:
                groups = trace_groups(root, normalize=normalize_once)
            else:
                groups = _groups_of(division, document.traces)
        key, folder = item.key_prefix + key_of(member.name), f"{item.name}/{member.name}".rpartition("/")[0]
        documents.append(_Document(key=key, folder=folder, texts=texts, traces=document.traces, groups=groups))
    return documents


def _groups_of(division: Sequence[tuple[str, Sequence[int]]], traces: TraceTexts) -> list[TraceGroup]:
    """The symbols named by a symbol file; symbols with strokes that the ink does not have are left out."""
    num_strokes = sum(map(holds_point, traces.texts))
    return [
        TraceGroup(label=normalize(label), traces=sorted(strokes), mathml_index=None)
        for label, strokes in division
        if strokes and 0 <= min(strokes) <= max(strokes) < num_strokes
    ]
