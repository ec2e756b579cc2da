"""Pictures among the inputs: how they are named, and the label that a list gives to each."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from latexify.artifacts.files import open_parquet, write_parquet
from latexify.artifacts.location import Location
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.walk import is_hidden

PICTURE_SUFFIXES = (
    *(".apng", ".avif", ".bmp", ".dib", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".jpx", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
)
ARCHIVE_SUFFIXES = (".7z", ".rar", ".tar", ".tbz2", ".tgz", ".txz", ".zip", ".tar.bz2", ".tar.gz", ".tar.xz")
_LABEL_SCHEMA = pa.schema(
    [
        pa.field("name", pa.binary(), nullable=False),  # bytes, because it may not be UTF-8
        *(pa.field(name, pa.string()) for name in ("label", "split", "writer")),
        *(pa.field(name, pa.string(), nullable=False) for name in ("reason", "detail")),
    ]
)
_ANNOTATIONS = ("label", "split", "writer")
LABEL_ANNOTATION, SPLIT_ANNOTATION, WRITER_ANNOTATION = _ANNOTATIONS


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureLabel:
    """What the lists of labels say of a picture."""

    name: str  # of the member
    annotations: Mapping[str, str] = field(default_factory=dict)  # `label`, `split` and `writer`, those that are known
    reason: Reason | None = None  # why the picture cannot be used, if it cannot
    detail: str = ""


def is_picture_name(name: str) -> bool:
    """Whether a file is named like a picture. Hidden files, such as those macOS adds, do not count."""
    return name.lower().endswith(PICTURE_SUFFIXES) and not is_hidden(name)


def is_archive_name(name: str) -> bool:
    """Whether a file is named like an archive."""
    return name.lower().endswith(ARCHIVE_SUFFIXES) and not is_hidden(name)


def without_suffix(name: str) -> str:
    """Return a name without the suffix of a picture."""
    lower = name.lower()
    return next((name[: -len(suffix)] for suffix in PICTURE_SUFFIXES if lower.endswith(suffix)), name)


def write_labels(path: Location, labels: Iterable[PictureLabel]) -> None:
    """Write the labels of all pictures, in the order in which ingest meets the pictures."""
    rows = [
        {
            "name": label.name.encode("utf-8", "surrogateescape"),
            **{name: label.annotations.get(name) for name in _ANNOTATIONS},
            "reason": label.reason.value if label.reason else "",
            "detail": label.detail,
        }
        for label in labels
    ]
    write_parquet(path, pa.Table.from_pylist(rows, schema=_LABEL_SCHEMA))


def read_labels(path: Location) -> Iterator[PictureLabel]:
    """Yield the labels of all pictures in their order, holding a few thousand in memory."""
    with open_parquet(path) as file:
        for batch in file.iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                yield PictureLabel(
                    name=row["name"].decode("utf-8", "surrogateescape"),
                    annotations={name: row[name] for name in _ANNOTATIONS if row[name] is not None},
                    reason=Reason(row["reason"]) if row["reason"] else None,
                    detail=row["detail"],
                )
