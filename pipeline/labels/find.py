"""Find the lists of labels among the files of a folder or archive."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from latexify.common.errors import LatexifyError
from latexify.pipeline.inputs.pictures import without_suffix
from latexify.pipeline.inputs.walk import is_hidden
from latexify.pipeline.labels.layouts import is_list_of_formulas
from latexify.pipeline.labels.rows import split_of_file

TABLE_SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet", ".tsv")
_LABELS = re.compile(r"(^|_)(labels?|captions?|gt|ground_truth|metadata)(_|$)")


def is_list_of_labels(name: str) -> bool:
    """Whether a file is named like a list of labels: by its suffix, or such as ``train_labels.txt``."""
    if is_hidden(name):
        return False
    path = PurePosixPath(name.lower())
    if path.suffix in TABLE_SUFFIXES or path.suffix == ".lst" or is_list_of_formulas(name):
        return True
    return path.suffix in {".txt", ".json"} and _LABELS.search(path.stem) is not None


def choose_lists(names: Iterable[str], *, where: str) -> list[str]:
    """Return the lists of labels among the names of the files of a folder or archive, sorted; none if there are none.

    Several belong together if they are the lists of im2latex, or each is named after a split. Raises LatexifyError if
    several do not.
    """
    found = sorted(name for name in names if is_list_of_labels(name))
    formulas = [name for name in found if is_list_of_formulas(name)]
    numbered = [name for name in found if name.lower().endswith(".lst")]
    if len(formulas) == 1 and (numbered or len(found) == 1):
        return sorted({*formulas, *numbered})
    if len(found) > 1 and any(split_of_file(name) is None for name in found):
        shown = ", ".join(found[:5])
        raise LatexifyError(f"{where} holds several lists of labels ({shown}): name those to use in images.labels")
    return found


def texts_beside(names: Iterable[str], pictures: Iterable[str]) -> list[str]:
    """Return the names of the texts that lie beside pictures: ``a.txt`` beside ``a.png``."""
    stems = {without_suffix(picture) for picture in pictures}
    return [name for name in names if name.lower().endswith(".txt") and name[:-4] in stems]
