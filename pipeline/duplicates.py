"""Which inks must go because they occur more than once: a pure decision over all rows of the catalogue."""

from collections.abc import Mapping, Sequence

from pipeline.ink import Reason

_PRECEDENCE: Mapping[str, int] = {"test": 0, "valid": 1, "train": 2}


def find_duplicates(
    keys: Sequence[str], *, splits: Sequence[str], content_hashes: Sequence[str]
) -> dict[int, tuple[Reason, str]]:
    """Rows to drop, each with the reason and what it repeats; the arguments are parallel columns in input order.

    - A key that was there before: DUPLICATE_KEY.
    - The same strokes in two splits: they stay in test rather than valid, in valid rather than train (LEAKED_INK), so
      that nothing is judged on what it was trained on.
    - The same strokes twice in train: the first stays (DUPLICATE_INK). Within valid and test all stay, so that scores
      have the denominators that are published.
    """
    dropped: dict[int, tuple[Reason, str]] = {}
    seen_keys: set[str] = set()
    first_of: dict[str, int] = {}
    for row, key in enumerate(keys):
        if key in seen_keys:
            dropped[row] = (Reason.DUPLICATE_KEY, "another input has the same key")
            continue
        seen_keys.add(key)
        best = first_of.setdefault(content_hashes[row], row)
        if _PRECEDENCE[splits[row]] < _PRECEDENCE[splits[best]]:
            first_of[content_hashes[row]] = row
    for row, content_hash in enumerate(content_hashes):
        kept = first_of.get(content_hash, row)
        if row in dropped or row == kept:
            continue
        repeats = f"same strokes as {keys[kept]} ({splits[kept]})"
        if splits[row] != splits[kept]:
            dropped[row] = (Reason.LEAKED_INK, repeats)
        elif splits[row] == "train":
            dropped[row] = (Reason.DUPLICATE_INK, repeats)
    return dropped
