"""Read labelled inks from files, folders and archives, all of them into memory."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latexify.artifacts.location import Location, location_of
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import IngestParams
from latexify.pipeline.ingest.labels import read_label
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Ink, Reason, Rejection
from latexify.pipeline.inputs.archives import Member, iter_members
from latexify.pipeline.inputs.inputs import is_inkml_name, key_of, kind_of, printable
from latexify.pipeline.inputs.scan import key_prefixes
from latexify.pipeline.inputs.splits import known_writer
from latexify.pipeline.inputs.walk import is_hidden
from latexify.pipeline.latex import normalize
from latexify.pipeline.strokes.ink_file import holds_ink, looks_like_ink, read_ink_file
from latexify.serve.evaluate.account import Account

LIMITS = IngestParams()
WRITER = "writer"  # annotation type that may hold the writer


@dataclass(frozen=True, kw_only=True)
class LabelledInks:
    """The inks of a test set, in the order of their keys, and what became of the others."""

    inks: Sequence[Ink]
    account: Account
    files: Mapping[str, bytes] = field(default_factory=dict)
    """The picture files by key, where a model takes pictures whole. Their inks may have neither strokes nor picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Input:
    """One path of the command line."""

    path: Location
    name: str  # as the user wrote it
    members: Sequence[Member]


def read_labelled_inks(paths: Sequence[str], *, labels: Sequence[str], split: str) -> LabelledInks:
    """Read every ink of files, folders and archives; `labels` are the annotation types that may hold the label.

    Raises LatexifyError if a path is missing or damaged, or there is no labelled ink.
    """
    others: Counter[str] = Counter()
    inputs = [_list(path, others) for path in paths]
    prefixes = key_prefixes([item.path.name for item in inputs], [[m.name for m in item.members] for item in inputs])
    inks: dict[str, Ink] = {}
    rejections: list[Rejection] = []
    with Progress("read", total=sum(len(item.members) for item in inputs), unit="inks") as progress:
        for item, prefix in zip(inputs, prefixes, strict=True):
            for member in item.members:
                read = _read(member, item=item, prefix=prefix, labels=labels, split=split)
                if isinstance(read, Ink) and read.key in inks:
                    read = Rejection(
                        key=read.key,
                        source=read.source,
                        reason=Reason.DUPLICATE_KEY,
                        detail=f"{inks[read.key].source} has the same key",
                    )
                if isinstance(read, Ink):
                    inks[read.key] = read
                else:
                    rejections.append(read)
                progress.advance()
    account = Account(num_scored=len(inks), rejections=rejections, others=dict(others))
    _require_labels(account, names=", ".join(paths), labels=labels)
    return LabelledInks(inks=[inks[key] for key in sorted(inks)], account=account)


def _list(path: str, others: Counter[str]) -> _Input:
    """Read what one path holds; count the files that are no inks. A file that is an ink itself may have any name."""
    location = location_of(path)
    if not location.exists():
        raise LatexifyError(f"{path} does not exist: name files, folders or archives of inks, or a folder of shards")
    if kind_of(location) == "archive":
        with location.open("rb") as file:
            is_ink = looks_like_ink(file.read(256))
        if is_ink:
            data = location.read_bytes()
            return _Input(path=location, name=path, members=[_member_of(location.name, data)])
    members = []
    for member in iter_members(location, max_bytes=LIMITS.max_file_bytes):
        if is_hidden(member.name):
            continue
        if is_inkml_name(member.name) or (_may_be_ink(member.name) and holds_ink(member.data or b"")):
            members.append(member)
        else:
            others[Path(member.name).suffix.lower() or Path(member.name).name] += 1
    return _Input(path=location, name=path, members=members)


def _may_be_ink(name: str) -> bool:
    return Path(name).suffix.lower() in {".excalidraw", ".json", ".svg", ".xml"}


def _member_of(name: str, data: bytes) -> Member:
    return Member(name=name, num_bytes=len(data), data=data, is_file=True)


def _read(member: Member, *, item: _Input, prefix: str, labels: Sequence[str], split: str) -> Ink | Rejection:
    """Return the ink of one file, or why it is none."""
    key = prefix + key_of(member.name)
    source = item.name if item.path.name == member.name else f"{item.name}/{printable(member.name)}"
    try:
        ink = read_ink_file(_data(member), max_file_bytes=LIMITS.max_file_bytes, max_points=LIMITS.max_points)
        label, reference = read_label(
            ink.annotations, labels, max_label_chars=LIMITS.max_label_chars, normalize=normalize
        )
    except UnusableInkError as error:
        return Rejection(key=key, source=source, reason=error.reason, detail=printable(error.detail))
    return Ink(
        key=key,
        split=split,
        label=label,
        normalized_label=reference,
        strokes=ink.strokes,
        writer=known_writer(ink.annotations.get(WRITER)),
        source=source,
    )


def _data(member: Member) -> bytes:
    """Return the content of a member. Raises UnusableInkError if it has none."""
    if not member.is_file:
        raise UnusableInkError(Reason.NOT_INKML, "a link or a device, not a file")
    if member.data is None:
        problem = f"{member.num_bytes} bytes, at most {LIMITS.max_file_bytes} are allowed"
        raise UnusableInkError(Reason.TOO_LARGE, problem)
    return member.data


def _require_labels(account: Account, *, names: str, labels: Sequence[str]) -> None:
    """Raise LatexifyError if no ink can be scored."""
    if account.num_scored:
        return
    if not account.num_inputs:
        raise LatexifyError(f"no inks to evaluate in {names}: name other paths")
    first = account.rejections[0]
    if account.rejected.keys() == {str(Reason.NO_LABEL)}:
        raise LatexifyError(
            f"none of the {account.num_inputs:,} inks has a label ({' or '.join(labels)}), such as {first.source} "
            f"({first.detail}): name the annotation that holds it with --label"
        )
    reasons = ", ".join(f"{reason} ({count:,})" for reason, count in account.rejected.items())
    raise LatexifyError(
        f"none of the {account.num_inputs:,} inks can be evaluated: {reasons}; such as {first.source}: {first.detail}"
    )
