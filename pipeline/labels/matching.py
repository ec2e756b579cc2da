"""Match the rows of lists of labels with pictures; whatever has no counterpart is a rejection."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latexify.pipeline.inks.ink import Reason, Rejection
from latexify.pipeline.inputs.inputs import key_of, printable
from latexify.pipeline.inputs.pictures import (
    LABEL_ANNOTATION,
    SPLIT_ANNOTATION,
    WRITER_ANNOTATION,
    PictureLabel,
    is_picture_name,
    without_suffix,
)
from latexify.pipeline.inputs.splits import path_parts
from latexify.pipeline.labels.rows import LabelRow


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelList:
    """The rows of a list of labels, and the folder in which it lies: pictures there are preferred."""

    rows: Sequence[LabelRow]
    folder: str | None = None  # path inside the input; None if the list is in no input


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The label of each picture, in their order, and the rows that are of none."""

    labels: list[PictureLabel]
    rejections: list[Rejection] = field(default_factory=list)


class _Names:
    """Pictures by the ends of their paths, without suffix. They are indexed for each number of components at need."""

    def __init__(self, names: Sequence[str]) -> None:
        self._parts = [path_parts(unicodedata.normalize("NFC", name)) for name in names]
        self._by_tail: dict[int, dict[str, list[int]]] = {}

    def find(self, name: str, *, folder: str | None) -> list[int]:
        """Return the pictures that a row may mean."""
        parts = path_parts(unicodedata.normalize("NFC", name.replace("\\", "/")))
        if not parts:
            return []
        found = self._ending(parts)
        if is_picture_name(parts[-1]):
            found = [index for index in found if self._parts[index][-1] == parts[-1]]
        if len(found) > 1:
            found = [index for index in found if len(self._parts[index]) == len(parts)] or found
        if len(found) > 1 and folder is not None:
            inside = path_parts(folder)
            found = [index for index in found if self._parts[index][: len(inside)] == inside] or found
        return found

    def _ending(self, parts: Sequence[str]) -> list[int]:
        depth = len(parts)
        if depth not in self._by_tail:
            by_tail: dict[str, list[int]] = defaultdict(list)
            for index, own in enumerate(self._parts):
                if len(own) >= depth:
                    by_tail[_tail(own[-depth:])].append(index)
            self._by_tail[depth] = dict(by_tail)
        return self._by_tail[depth].get(_tail(parts), [])


def _tail(parts: Sequence[str]) -> str:
    return "/".join([*parts[:-1], without_suffix(parts[-1])])


def match(pictures: Sequence[str], lists: Iterable[LabelList]) -> Matched:
    """Give each picture its label. `pictures` are the paths inside their inputs, in the order of the inputs.

    A row names a picture by its path or the end of it, with or without the suffix. Rows of one picture complete each
    other, such as a label and a split; the same label twice is a duplicate, two different ones reject the picture.
    """
    names = _Names(pictures)
    rows: dict[int, list[LabelRow]] = defaultdict(list)
    rejections = []
    is_listed = False
    for each in lists:
        for row in each.rows:
            is_listed = True
            found = names.find(row.name, folder=each.folder)
            if len(found) == 1:
                rows[found[0]].append(row)
            else:
                rejections.append(_unmatched(row, [pictures[index] for index in found]))
    labels = []
    for index, name in enumerate(pictures):
        labels.append(_label_of(name, rows.get(index, []), is_listed=is_listed))
        rejections += _repeated(rows.get(index, []))
    return Matched(labels=labels, rejections=rejections)


def _unmatched(row: LabelRow, found: Sequence[str]) -> Rejection:
    if row.problem is not None:
        reason, detail = Reason.BAD_ROW, row.problem
    elif found:
        shown = ", ".join(found[:3])
        reason, detail = Reason.BAD_ROW, f"{row.name!r} may be {shown}: write the path of the one that is meant"
    else:
        reason, detail = Reason.NO_PICTURE, f"no picture is named {row.name!r}"
    return _rejection(row, reason, detail)


def _rejection(row: LabelRow, reason: Reason, detail: str) -> Rejection:
    return Rejection(key=key_of(row.name), source=printable(row.source), reason=reason, detail=printable(detail))


def _label_of(name: str, rows: Sequence[LabelRow], *, is_listed: bool) -> PictureLabel:
    broken = next((row for row in rows if row.problem is not None), None)
    if broken is not None:
        return PictureLabel(name=name, reason=Reason.BAD_ROW, detail=printable(f"{broken.source}: {broken.problem}"))
    annotations: dict[str, str] = {}
    for annotation in (LABEL_ANNOTATION, SPLIT_ANNOTATION, WRITER_ANNOTATION):
        values: dict[str, LabelRow] = {}
        for row in rows:
            if (value := getattr(row, annotation)) is not None:
                values.setdefault(value, row)
        if len(values) > 1:
            said = "; ".join(f"{row.source} has {value[:80]!r}" for value, row in list(values.items())[:2])
            detail = f"the lists contradict each other about its {annotation}: {said}"
            return PictureLabel(name=name, reason=Reason.CONTRADICTORY_LABEL, detail=detail)
        if values:
            annotations[annotation] = next(iter(values))
    if not annotations.get(LABEL_ANNOTATION, "").strip():
        where = rows[0].source if rows else ""
        no_list = "no list has a row for it" if is_listed else "there is no list of labels"
        detail = f"{where} has no label for it" if rows else no_list
        return PictureLabel(name=name, annotations=annotations, reason=Reason.NO_LABEL, detail=detail)
    return PictureLabel(name=name, annotations=annotations)


def _repeated(rows: Sequence[LabelRow]) -> Iterator[Rejection]:
    """Reject the rows that say once more what one before said."""
    seen: dict[tuple[str | None, str | None, str | None], LabelRow] = {}
    for row in rows:
        said = (row.label, row.split, row.writer)
        if row.problem is None and said in seen:
            yield _rejection(row, Reason.DUPLICATE_ROW, f"repeats {seen[said].source}")
        seen.setdefault(said, row)
