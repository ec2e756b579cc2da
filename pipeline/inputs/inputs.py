"""The source plan: the folders and archives that ingest reads, and how it finds splits, labels, writers and keys."""

import os
import re
import urllib.parse
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from latexify.artifacts.location import Location, location_of
from latexify.common.errors import LatexifyError
from latexify.common.section import Section
from latexify.pipeline.inputs.splits import SplitRule, path_parts
from latexify.pipeline.inputs.walk import is_hidden

Kind = Literal["archive", "folder"]
Content = Literal["inkml", "pictures"]

INKML_SUFFIX = ".inkml"
XML_SUFFIX = ".xml"

_PLAIN = re.compile(r"[A-Za-z0-9_.~/+=,-]*")  # names in which only dots need percent-encoding


class SourceInput(Section):
    """One folder or archive of InkML or pictures."""

    path: str  # relative to the source folder (so that the project can be moved), with `/`; or a URL
    name: str  # path as the user wrote it; the `source` column begins with it
    kind: Kind
    key_prefix: str  # of every key, may be empty
    num_inputs: int | None  # number of InkML files, None if counting them would decompress gigabytes
    num_bytes: int  # of the archive, or total of a folder's InkML files
    sha256: str  # of the archive's bytes, or of a folder's sorted paths and contents
    rule: SplitRule  # assigns its inks to splits
    content: Content = "inkml"
    dataset: str | None = None  # its name, if there are several


class AnnotationNames(Section):
    """The annotation types that may hold label and writer; the first that an ink has wins."""

    labels: list[str]
    writers: list[str]


COMPOSED_NAMES = AnnotationNames(labels=["label"], writers=["writer"])
"""Of inks composed from those of several datasets."""


class PicturePlan(Section):
    """What to do with pictures, whose labels are in ``labels.parquet`` beside the manifest."""

    trace: bool
    max_file_bytes: int
    num_rejections: int  # of ``rejects.parquet``, which is there as well
    labels_sha256: str  # of what the lists of labels say


class SourcePlan(Section):
    """All that ingest needs: `content` of the source manifest.

    Label and writer are in the first of their annotation types that an ink has: those of the plan, or those of
    `datasets` if there are several. The keys of several datasets begin with their names.
    """

    inputs: list[SourceInput]
    label_annotations: list[str]
    writer_annotations: list[str]
    pictures: PicturePlan | None = None  # None if there are none
    datasets: dict[str, AnnotationNames] = {}  # by name, if there are several

    @classmethod
    def from_content(cls, content: Any, *, where: Path) -> "SourcePlan":
        """Read a plan. Raises LatexifyError if the content of the manifest at `where` is not a plan."""
        try:
            return cls.model_validate(dict(content))
        except ValidationError as error:
            problem = error.errors()[0]
            raise LatexifyError(
                f"{where} is of another version ({problem['loc']}: {problem['msg']}): run `latexify source` again"
            ) from None

    def to_content(self) -> dict[str, Any]:
        """Return what the manifest holds; of a single dataset without what only several have."""
        content = self.model_dump()
        if not self.datasets:
            del content["datasets"]
            for item in content["inputs"]:
                del item["dataset"]
        return content

    def names_for(self, dataset: str | None) -> AnnotationNames:
        """Return the annotation types of a dataset; None if it is the only one."""
        if dataset is not None:
            return self.datasets[dataset]
        return AnnotationNames(labels=self.label_annotations, writers=self.writer_annotations)


def kind_of(path: Location) -> Kind:
    """Return whether `path` is a folder or a file. Raises LatexifyError if it is neither."""
    if path.is_dir():
        return "folder"
    if path.is_file():
        return "archive"
    raise LatexifyError(
        f"{path} does not exist: put the data there (`dvc pull`, if DVC tracks it), or name another path"
    )


def resolve_path(path: str, *, raw: Location) -> Location:
    """Resolve a path of params.yaml: a URL, or a path relative to the folder `raw`."""
    return location_of(path) if "://" in path else raw / path


def resolve_input(item: SourceInput, *, base: Path) -> Location:
    """Resolve the path of an input against the source folder `base`.

    Raises LatexifyError if it is gone or its size has changed since `source` ran.
    """
    path = location_of(item.path) if "://" in item.path else Path(os.path.normpath(base.resolve() / item.path))
    changed = kind_of(path) != item.kind
    if not changed and item.kind == "archive":
        changed = path.stat().st_size != item.num_bytes
    if changed:
        raise changed_since(item)
    return path


def changed_since(item: SourceInput) -> LatexifyError:
    """Return the error for an input that is no longer what `source` saw."""
    return LatexifyError(f"{item.name} has changed since `latexify source` looked at it: run `latexify source` again")


def is_inkml_name(name: str) -> bool:
    """Return whether a member is named like an InkML file. Hidden files, such as those macOS adds, do not count."""
    return name.lower().endswith(INKML_SUFFIX) and not is_hidden(name)


def is_xml_name(name: str) -> bool:
    """Return whether a member may be InkML under the suffix that Microsoft's programs give it; its content decides."""
    return name.lower().endswith(XML_SUFFIX) and not is_hidden(name)


def key_of(name: str) -> str:
    """Return the key of the member `name`: its path without suffix, percent-encoded except for slashes.

    Equal paths give equal keys. WebDataset groups the members of a shard by what precedes their first dot, so dots are
    encoded, as are control characters, spaces, backslashes, non-ASCII characters and bytes that are not text.
    """
    parts = path_parts(name)
    if parts and parts[-1].lower().endswith(INKML_SUFFIX):
        parts[-1] = parts[-1][: -len(INKML_SUFFIX)]
    path = "/".join(parts)
    if not _PLAIN.fullmatch(path):
        path = urllib.parse.quote(path.encode("utf-8", "surrogateescape"), safe="/+=,")
    return path.replace(".", "%2E")


def printable(name: str) -> str:
    """Return `name` as valid one-line Unicode, for messages and the `source` column (not for keys)."""
    if name.isprintable():
        return name
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
