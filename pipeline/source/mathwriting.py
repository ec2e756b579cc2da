"""The archives of MathWriting-2024 as Google publishes them.

Source: Gervais et al., MathWriting: A Dataset For Handwritten Mathematical Expression Recognition (arXiv:2404.10690),
and the archive's readme. Licence of the data: CC BY-NC-SA 4.0.
"""

from collections.abc import Mapping

from latexify.artifacts.location import Location, is_local
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import MathWritingParams
from latexify.pipeline.inputs.inputs import resolve_path
from latexify.pipeline.inputs.scan import InputSpec
from latexify.pipeline.inputs.splits import FolderSplit, SplitName
from latexify.pipeline.source.download import fetch

URL = "https://storage.googleapis.com/mathwriting_data"

# size in bytes of each archive (``URL/NAME.tgz``)
PUBLISHED: Mapping[str, int] = {"mathwriting-2024": 3_096_141_721, "mathwriting-2024-excerpt": 1_620_634}
_LIST_UP_TO_BYTES = 100_000_000  # listing the files of a larger archive would decompress gigabytes an extra time


def list_mathwriting(section: MathWritingParams, *, published: str, raw: Location) -> InputSpec:
    """Return the archive `published` (a key of `PUBLISHED`) with its splits and the selected training folders.

    It is downloaded into `raw` unless `section` names one.
    """
    if section.archive is None:
        path = raw / f"{published}.tgz"
        if is_local(path):
            fetch(f"{URL}/{published}.tgz", to=path, num_bytes=PUBLISHED[published])
    else:
        path = resolve_path(section.archive, raw=raw)
    if not path.exists():
        raise LatexifyError(f"mathwriting.archive: {path} does not exist: put it there, or leave it out to download it")
    folders: dict[str, SplitName] = {"valid": "valid", "test": "test"}
    folders |= dict.fromkeys(section.train_folders, "train")
    rule = FolderSplit(folders=folders, only=True)
    listed = path.is_dir() or path.stat().st_size <= _LIST_UP_TO_BYTES
    return InputSpec(path=path, name=path.name, rule=rule, listed=listed)
