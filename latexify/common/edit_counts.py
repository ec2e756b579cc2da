"""Character edits of predictions, counted as ``jiwer.cer`` counts them."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

Counts = npt.NDArray[np.int64]


def edit_counts(references: Sequence[str], predictions: Sequence[str], *, strip: bool = True) -> tuple[Counts, Counts]:
    """Count characters of each reference, and edits that its prediction is away from it: int64 [num_samples] each.

    The sum of the edits divided by the sum of the characters is the CER of jiwer: leading and trailing white space is
    ignored (unless `strip` is False), and an edit is a substitution, an insertion or a deletion.
    """
    if strip:
        references, predictions = ([text.strip() for text in texts] for texts in (references, predictions))
    num_chars = np.fromiter(map(len, references), dtype=np.int64, count=len(references))
    edits = process.cpdist(references, predictions, scorer=Levenshtein.distance, dtype=np.int64)
    return num_chars, np.asarray(edits, dtype=np.int64)
