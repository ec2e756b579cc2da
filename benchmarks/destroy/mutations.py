"""One hundred thousand ways to ruin an InkML file: every file follows from a seed, a kind and a number."""

from collections.abc import Iterator, Mapping, Sequence
from random import Random

from benchmarks.destroy import damage, giants, hostile
from benchmarks.destroy.damage import Mutant, Mutation

SHARES: Mapping[str, tuple[Mutation, int]] = {
    "truncated": (damage.truncated, 8000),
    "bits flipped": (damage.flipped_bits, 7000),
    "bytes inserted": (damage.inserted_bytes, 7000),
    "bytes deleted": (damage.deleted_bytes, 7000),
    "range overwritten": (damage.overwritten_range, 5000),
    "files spliced": (damage.spliced_files, 4000),
    "blank or no XML": (damage.blank, 1000),
    "elements doubled, moved, nested": (damage.changed_elements, 9000),
    "tags lost, exchanged, renamed": (damage.changed_tags, 7000),
    "comments, instructions added": (damage.dressed, 2500),
    "other namespaces": (damage.other_namespace, 1500),
    "encoded otherwise": (hostile.right_encodings, 3000),
    "encodings that contradict": (hostile.wrong_encodings, 6000),
    "NUL, forbidden characters": (hostile.nul_bytes, 3000),
    "numbers, finite": (damage.finite_numbers, 5000),
    "numbers, broken": (damage.broken_numbers, 5000),
    "decimal commas": (damage.comma_decimals, 500),
    "numbers, coded": (damage.coded_numbers, 3000),
    "numbers as differences": (damage.differences, 1000),
    "contexts, views, continuations": (damage.contexts, 2000),
    "ragged points": (damage.ragged_points, 4000),
    "labels": (damage.other_labels, 6200),
    "entity bombs": (hostile.entity_bombs, 1000),
    "external references": (hostile.external_references, 700),
    "levels": (giants.levels, 300),
    "giants within the limit": (giants.giants, 240),
    "50 MB": (giants.fifty_megabytes, 60),
}
"""Kinds of damage, and how many of 100,000 files each gets."""

_TOTAL = 100_000


def counts(num_files: int) -> dict[str, int]:
    """How many files of each kind: in proportion to `SHARES`, at least one."""
    return {kind: max(1, round(share * num_files / _TOTAL)) for kind, (_, share) in SHARES.items()}


def mutant(kind: str, number: int, *, seed: int, sound: Sequence[bytes]) -> Mutant:
    """File `number` of a kind; the same bytes for the same arguments on every machine."""
    return SHARES[kind][0](Random(f"{seed}/{kind}/{number}"), sound)


def mutants(
    num_files: int, *, seed: int, sound: Sequence[bytes], without: frozenset[str] = frozenset()
) -> Iterator[tuple[str, int, Mutant]]:
    """Yield (kind, number, file) of all kinds but those in `without`."""
    for kind, count in counts(num_files).items():
        if kind not in without:
            yield from ((kind, number, mutant(kind, number, seed=seed, sound=sound)) for number in range(count))
