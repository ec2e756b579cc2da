"""List the pictures of the dataset `images`, with the label of each and the rejections of what has no picture."""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import assert_never

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.common.progress import notice
from latexify.pipeline.config import ImagesParams
from latexify.pipeline.inks.ink import Reason, Rejection
from latexify.pipeline.inputs.inputs import key_of, printable, resolve_path
from latexify.pipeline.inputs.pictures import SPLIT_ANNOTATION, PictureLabel
from latexify.pipeline.inputs.splits import (
    SPLIT_NAMES,
    AnnotationSplit,
    FolderSplit,
    HashSplit,
    HeldOutSplit,
    InkFacts,
    SplitRule,
)
from latexify.pipeline.labels.find import is_list_of_labels
from latexify.pipeline.labels.lists import ListSettings, PictureFiles, list_files, read_lists
from latexify.pipeline.labels.matching import Matched, match
from latexify.pipeline.labels.rows import ColumnNames


def read_pictures(section: ImagesParams, *, raw: Location) -> tuple[list[PictureFiles], Matched]:
    """List the pictures of a dataset and find their labels; `raw` is the folder of its paths.

    Archives inside folders and archives are rejections. Raises LatexifyError if a path is missing or damaged, or a list
    of labels cannot be read.
    """
    inputs = [list_files(resolve_path(path, raw=raw), name=path) for path in section.paths]
    _require_pictures(inputs)
    matched = match_pictures(inputs, _settings(section, raw=raw))
    pictures = sum(len(item.pictures) for item in inputs)
    labelled = sum(label.reason is None for label in matched.labels)
    notice(f"source: {labelled:,} of {pictures:,} pictures have a label{_left_out(inputs)}")
    return inputs, matched


def _require_pictures(inputs: Sequence[PictureFiles]) -> None:
    """Raise LatexifyError if an input has no pictures; say so if they are in archives inside."""
    for item in inputs:
        if not item.pictures:
            archives = ", ".join(printable(f"{item.name}/{name}") for name in item.archives[:3])
            advice = f"name the archives inside in images.paths ({archives})" if archives else "name another path"
            raise LatexifyError(f"{item.path} holds no pictures: {advice}")


def match_pictures(inputs: Sequence[PictureFiles], settings: ListSettings) -> Matched:
    """Read the lists of labels of some pictures and match them. Raises LatexifyError if a list cannot be read."""
    lists = read_lists(inputs, settings)
    matched = match([name for item in inputs for name in item.pictures], lists)
    matched.rejections.extend(_nested(inputs))
    return matched


def split_rule(section: ImagesParams, labels: Sequence[PictureLabel], *, seed: int) -> SplitRule:
    """Return the rule that splits the pictures; training labels are held out if it gives none for validation."""
    rule: AnnotationSplit | FolderSplit
    match section.split_by:
        case "writer" | "label" as of:
            valid, test = section.valid_fraction, section.test_fraction
            return HashSplit(of=of, seed=seed, valid_fraction=valid, test_fraction=test)
        case "folder":
            rule = FolderSplit(folders=dict(SPLIT_NAMES), only=False)
        case "column" | "file":
            rule = AnnotationSplit(annotation=SPLIT_ANNOTATION)
        case _:
            assert_never(section.split_by)
    facts = (
        InkFacts(path=label.name, annotations=label.annotations, writer=None, normalized_label="") for label in labels
    )
    if not section.valid_fraction or any(rule.split_of(fact) == "valid" for fact in facts):
        return rule
    held_out = HashSplit(of="label", seed=seed, valid_fraction=section.valid_fraction, test_fraction=0)
    return HeldOutSplit(rule=rule, held_out=held_out)


def _settings(section: ImagesParams, *, raw: Location) -> ListSettings:
    needed = {"column": (section.split_column,), "writer": (section.writer_column,)}
    split_by = section.split_by
    if section.split_files and split_by != "file":
        raise LatexifyError("images.split_files is for images.split_by: file: change one of them")
    return ListSettings(
        columns=ColumnNames(
            name=section.name_column,
            label=section.label_column,
            split=section.split_column,
            writer=section.writer_column,
            needed=needed.get(split_by, ()),
        ),
        encoding=section.encoding,
        lists=[(name, resolve_path(name, raw=raw)) for name in section.labels],
        split_lists=[(name, resolve_path(name, raw=raw)) for name in section.split_files],
        split_by=split_by if split_by in {"column", "file"} else None,
    )


def _nested(inputs: Sequence[PictureFiles]) -> list[Rejection]:
    """Reject archives inside folders and archives."""
    return [
        Rejection(
            key=key_of(name),
            source=f"{item.name}/{printable(name)}",
            reason=Reason.NESTED_ARCHIVE,
            detail="an archive inside another, or in a folder, is not opened: unpack it, or name it in images.paths",
        )
        for item in inputs
        for name in item.archives
    ]


def _left_out(inputs: Sequence[PictureFiles]) -> str:
    """Name the kinds of files that are neither pictures nor lists of labels."""
    others = Counter(
        PurePosixPath(name).suffix.lower() or PurePosixPath(name).name
        for item in inputs
        for name in {*item.names} - {*item.pictures} - {*item.archives}
        if not is_list_of_labels(name)
    )
    kinds = ", ".join(f"{printable(kind)} ({count:,})" for kind, count in sorted(others.items()))
    return f"; files of other kinds are left out: {kinds}" if kinds else ""
