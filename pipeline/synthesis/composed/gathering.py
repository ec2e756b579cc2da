"""The training inks of a dataset, cut into the single symbols that people wrote, and the labels of validation and test.

Inks are split as ingest splits them, and cut by their trace groups, or because an ink is one symbol.

Format: trace groups as CROHME writes them (Mouchère et al., ICFHR 2014): a leaf `<traceGroup>` holds its symbol's label
as `<annotation type="truth">`, `<traceView traceDataRef="…">` for its strokes, and may point into the ink's MathML.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from joblib import delayed

from latexify.artifacts.names import LABELS_NAME
from latexify.common.progress import Progress
from latexify.pipeline.config import IngestParams
from latexify.pipeline.engine.engine import Engine
from latexify.pipeline.ingest.chunks import Chunk, iter_chunks
from latexify.pipeline.ingest.labels import InkTexts, read_texts
from latexify.pipeline.inkml.document import document_of, ink_elements
from latexify.pipeline.inkml.numbers import TraceTexts, parse_traces
from latexify.pipeline.inkml.xml import UnusableInkError, parse_xml
from latexify.pipeline.inks.ink import Stroke
from latexify.pipeline.inks.table import content_hashes
from latexify.pipeline.inputs.inputs import SourcePlan, key_of
from latexify.pipeline.inputs.pictures import read_labels
from latexify.pipeline.latex import normalize, tokenize

LIMITS = IngestParams(max_file_bytes=1 << 28, max_points=5_000_000, max_label_chars=1_000_000)
"""Above any limits of ingest: every ink that it might take into validation or test must be seen here."""
XML_ID = "{http://www.w3.org/XML/1998/namespace}id"
MAX_SYMBOL_STROKES = 8
"""A group of more strokes was not divided."""

Divisions = Mapping[str, Sequence[tuple[str, Sequence[int]]]]
"""By sample id, the symbols of an ink as label and stroke indices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutSymbol:
    """One symbol of an ink."""

    token: str  # normalised
    strokes: Sequence[Stroke]  # in writing order, at least one, in the units of the file
    mathml_index: int | None  # among the elements of the ink's MathML; None without a link


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceGroup:
    """Strokes of one symbol."""

    label: str  # normalised
    traces: Sequence[int]  # indices among the ink's traces, ascending
    mathml_index: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInk:
    """An ink of the training split. label: normalised. folder: of its file."""

    key: str
    folder: str
    writer: str | None
    label: str
    symbols: Sequence[CutSymbol]


class Material(NamedTuple):
    """Training inks in the order of the inputs, and the normalised labels of held-out inks, not to be repeated."""

    inks: Sequence[TrainingInk]
    held_out_labels: frozenset[str]


class _Document(NamedTuple):
    key: str
    folder: str
    texts: InkTexts
    traces: TraceTexts
    groups: Sequence[TraceGroup]


def gather(plan: SourcePlan, *, base: Path, divisions: Divisions, engine: Engine) -> Material:
    """Read every ink of the datasets; training inks with the strokes of a held-out ink are left out, as in ingest.

    Of pictures only the labels are needed, of those that are held out. `base` is the source folder, `divisions` are the
    symbols of inks without trace groups. Raises LatexifyError if an input is damaged or has changed.
    """
    inks: list[tuple[TrainingInk, str, str]] = []
    of_inks = [item for item in plan.inputs if item.content == "inkml"]
    only_inks = plan.model_copy(update={"inputs": of_inks, "pictures": None})
    chunks = iter_chunks(only_inks, base=base, max_file_bytes=LIMITS.max_file_bytes, read_by_workers=False)
    with Progress("source", total=None, unit="inks cut") as progress:
        calls = (delayed(_read_chunk)(chunk, plan=plan, divisions=_of_chunk(divisions, chunk)) for chunk in chunks)
        for batch in engine.run(calls, in_order=True):
            inks += batch
            progress.advance(len(batch))
    held_out = [(ink.label, content_hash) for ink, split, content_hash in inks if split != "train"]
    hashes = {content_hash for _, content_hash in held_out}
    return Material(
        inks=[ink for ink, split, content_hash in inks if split == "train" and content_hash not in hashes],
        held_out_labels=frozenset(label for label, _ in held_out) | _labels_of_held_out_pictures(plan, base=base),
    )


def _labels_of_held_out_pictures(plan: SourcePlan, *, base: Path) -> frozenset[str]:
    """Return the normalised labels of the pictures for validation and test."""
    items = [item for item in plan.inputs if item.content == "pictures"]
    if not items:
        return frozenset()
    held_out: set[str] = set()
    item, normalize_once = items[0], cache(normalize)  # all pictures have one rule
    for label in read_labels(base / LABELS_NAME):
        try:
            texts = read_texts(
                label.annotations,
                path=label.name,
                item=item,
                plan=plan,
                max_label_chars=LIMITS.max_label_chars,
                normalize=normalize_once,
            )
        except UnusableInkError:
            continue
        if texts.split != "train":
            held_out.add(texts.normalized_label)
    return frozenset(held_out)


def _of_chunk(divisions: Divisions, chunk: Chunk) -> Divisions:
    """Only the divisions that a worker needs."""
    names = {_stem(member.name) for _, member in chunk.members} if divisions else set()
    return {name: divisions[name] for name in names if name in divisions}


def _stem(name: str) -> str:
    return name.rpartition("/")[2].partition(".")[0]


def _read_chunk(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> list[tuple[TrainingInk, str, str]]:
    """Read the inks of a chunk, with split and content hash, but not those that ingest rejects."""
    documents = list(_read_documents(chunk, plan=plan, divisions=divisions))
    columns, _ = parse_traces([document.traces for document in documents], max_points=LIMITS.max_points)
    is_ink = columns.num_strokes > 0  # refused inks have no strokes either
    hashes, strokes = iter(content_hashes(columns.take(is_ink))), iter(columns.strokes())
    inks = []
    for (key, folder, texts, traces, groups), num_strokes in zip(documents, columns.num_strokes.tolist(), strict=True):
        if num_strokes:
            own, label = list(islice(strokes, num_strokes)), texts.normalized_label
            symbols = cut_symbols(traces.texts, own, groups, label=label) if texts.split == "train" else []
            ink = TrainingInk(key=key, folder=folder, writer=texts.writer, label=label, symbols=symbols)
            inks.append((ink, texts.split, next(hashes)))
    return inks


def _read_documents(chunk: Chunk, *, plan: SourcePlan, divisions: Divisions) -> Iterator[_Document]:
    """Parse the XML of a chunk, training inks with their groups; the numbers of a chunk are parsed together."""
    normalize_once = cache(normalize)
    max_chars = LIMITS.max_label_chars
    for item, member in chunk.members:
        if member.data is None:
            continue
        path = member.name
        try:
            root = parse_xml(member.data)
            document = document_of(root)
            texts = read_texts(
                document.annotations,
                path=path,
                item=item,
                plan=plan,
                max_label_chars=max_chars,
                normalize=normalize_once,
            )
        except UnusableInkError:
            continue
        division, groups = divisions.get(_stem(path)), list[TraceGroup]()
        if texts.split == "train" and division is None and document.is_plain:
            groups = trace_groups(root, normalize=normalize_once)
        elif texts.split == "train" and division is not None:
            groups = _groups_of(division, document.traces)
        folder = f"{item.name}/{path}".rpartition("/")[0]
        yield _Document(item.key_prefix + key_of(path), folder, texts, document.traces, groups)


def _groups_of(division: Sequence[tuple[str, Sequence[int]]], traces: TraceTexts) -> list[TraceGroup]:
    """The symbols named by a symbol file; symbols with strokes that the ink does not have are left out."""
    num_strokes = sum(map(holds_point, traces.texts))
    return [
        TraceGroup(label=normalize(label), traces=sorted(strokes), mathml_index=None)
        for label, strokes in division
        if strokes and 0 <= min(strokes) <= max(strokes) < num_strokes
    ]


def cut_symbols(
    traces: Sequence[str], strokes: Sequence[Stroke], groups: Sequence[TraceGroup], *, label: str
) -> list[CutSymbol]:
    """The symbols of one ink, by the texts of its traces, of which only those that hold a point have a stroke.

    Left out are groups without strokes or with too many, groups that share a stroke or have one without points, and
    groups whose label is not one token. An ink without groups whose normalised label is one token is that symbol.
    """
    if sum(map(holds_point, traces)) != len(strokes):  # a trace without any report of x and y
        return []
    written = iter(strokes)
    drawn = [next(written) if holds_point(text) else None for text in traces]
    if not groups and len(tokenize(label)) == 1 and 0 < len(drawn) <= MAX_SYMBOL_STROKES:
        groups = [TraceGroup(label=label, traces=range(len(drawn)), mathml_index=None)]
    num_users = Counter(trace for group in groups for trace in group.traces)
    symbols = []
    for group in groups:
        own = [stroke for trace in group.traces if (stroke := drawn[trace]) is not None]
        is_whole = len(own) == len(group.traces) and all(num_users[trace] == 1 for trace in group.traces)
        if is_whole and 0 < len(own) <= MAX_SYMBOL_STROKES and len(tokenize(group.label)) == 1:
            symbols.append(CutSymbol(token=group.label, strokes=own, mathml_index=group.mathml_index))
    return symbols


def holds_point(text: str) -> bool:
    """Whether a trace has a stroke."""
    return any(character.isdigit() for character in text)


def trace_groups(root: Any, *, normalize: Callable[[str], str]) -> list[TraceGroup]:
    """The trace groups of an InkML document that are symbols; groups with dangling references are left out."""
    index_of: dict[str, int] = {}
    for index, trace in enumerate(ink_elements(root)):
        name = trace.get("id") or trace.get(XML_ID)
        if name is not None:
            index_of[name] = -1 if name in index_of else index  # a repeated name is ambiguous
    mathml = _mathml_indices(root)
    groups = []
    for element in root.iter("{*}traceGroup"):
        views = [view.get("traceDataRef", "").removeprefix("#") for view in element.iterchildren("{*}traceView")]
        traces = sorted({index_of.get(view, -1) for view in views})
        labels = [a.text for a in element.iterchildren("{*}annotation") if a.get("type") == "truth" and a.text]
        if not traces or traces[0] < 0 or not labels:
            continue
        links = [link.get("href", "") for link in element.iterchildren("{*}annotationXML")]
        mathml_index = next((mathml[link] for link in links if link in mathml), None)
        groups.append(TraceGroup(label=normalize(labels[0]), traces=traces, mathml_index=mathml_index))
    return groups


def _mathml_indices(root: Any) -> Mapping[str, int]:
    """Document order of the named elements of the first formula in MathML."""
    formula = next(root.iter("{*}math"), None)
    if formula is None:
        return {}
    names = [element.get(XML_ID) or element.get("id") for element in formula.iter()]
    return {name: index for index, name in reversed(list(enumerate(names))) if name is not None}
