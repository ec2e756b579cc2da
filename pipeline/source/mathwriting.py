"""Where Google publishes MathWriting-2024, and how its archive is laid out.

Source: Gervais et al., MathWriting: A Dataset For Handwritten Mathematical Expression Recognition (arXiv:2404.10690);
the archive's own readme. Licence of the data: CC BY-NC-SA 4.0.
"""

from dataclasses import dataclass

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import MathWritingParams
from latexify.pipeline.inputs.inputs import Wanted, located
from latexify.pipeline.inputs.splits import FolderSplit, SplitName
from latexify.pipeline.source.download import fetch

LABEL_ANNOTATIONS = ["normalizedLabel", "label"]
"""`symbols/` has no normalised labels. The generated dataset is annotated in the same way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedArchive:
    """An archive as Google serves it."""

    url: str
    num_bytes: int


PUBLISHED = {
    "mathwriting": PublishedArchive(
        url="https://storage.googleapis.com/mathwriting_data/mathwriting-2024.tgz", num_bytes=3_096_141_721
    ),
    "mathwriting-excerpt": PublishedArchive(
        url="https://storage.googleapis.com/mathwriting_data/mathwriting-2024-excerpt.tgz", num_bytes=1_620_634
    ),
}

_LIST_UP_TO_BYTES = 100_000_000
"""Counting the files of a larger archive first would decompress gigabytes twice."""


def wanted_mathwriting(section: MathWritingParams, *, dataset: str, raw: Location) -> list[Wanted]:
    """The archive (downloaded into `raw` unless named), its published splits, and the training folders chosen."""
    published = PUBLISHED[dataset]
    if section.archive is None:
        path = raw / published.url.rpartition("/")[2]
        if is_local(path):
            fetch(published.url, to=path, num_bytes=published.num_bytes)
    else:
        path = located(section.archive, raw=raw)
    if not path.exists():
        raise LatexifyError(f"mathwriting.archive: {path} does not exist: put it there, or leave it out to download it")
    folders: dict[str, SplitName] = {"valid": "valid", "test": "test"}
    folders |= dict.fromkeys(section.train_folders, "train")
    rule = FolderSplit(folders=folders, only=True)
    listed = path.is_dir() or path.stat().st_size <= _LIST_UP_TO_BYTES
    return [Wanted(path=path, name=path.name, rule=rule, listed=listed)]
