"""The inks that everything is measured on: real ones, or the embedded synthetic ones, as many as it takes."""

import io
import os
import random
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.baselines.baseline import parse_ink
from latexify.pipeline.config import IngestParams, SyntheticParams
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.inputs import is_inkml_name
from latexify.pipeline.latex import normalize
from latexify.pipeline.synthesis import generate

CROHME_ARCHIVES = ("crohme/train.tar.xz", "crohme/test2014.tar.xz")
LABELS = ("normalizedLabel", "truth", "label")
_FIRST_NUMBER = re.compile(rb"(<trace\b[^>]*>\s*)([-+]?[0-9.]+)")


@dataclass(frozen=True, kw_only=True)
class RawInk:
    """One InkML file: its path in the archive, and its bytes."""

    name: str
    data: bytes


def real_data() -> Path | None:
    """Folder of real data (CONTRIBUTING.md), or None where there is none."""
    folder = os.environ.get("LATEXIFY_REAL_DATA")
    return Path(folder) if folder else None


def crohme_inks(raw: Path) -> list[RawInk]:
    """Every InkML file of CROHME's training and 2014 test sets, 9,822 of them, in the order of the archives."""
    return [
        RawInk(name=f"{archive.partition('.')[0]}/{member.name}", data=member.data)
        for archive in CROHME_ARCHIVES
        for member in iter_members(raw / archive, max_bytes=IngestParams().max_file_bytes)
        if is_inkml_name(member.name) and member.data is not None
    ]


def synthetic_inks(num_inks: int, *, folder: Path) -> list[RawInk]:
    """The first training inks of the embedded dataset with its default settings. Uses `folder` for the archive."""
    params = SyntheticParams(num_train=num_inks, num_valid=1, num_test=1)
    generate(params, seed=1, out=folder, jobs=1)
    members = iter_members(folder / "train.tar", max_bytes=IngestParams().max_file_bytes)
    return [RawInk(name=member.name, data=member.data) for member in members if member.data is not None]


def choose(inks: Sequence[RawInk], *, num_inks: int, seed: int = 1) -> list[RawInk]:
    """A random choice of inks that the project and the baselines can all read, the same for the same seed."""
    shuffled = random.Random(seed).sample(inks, len(inks))
    readable = (ink for ink in shuffled if _is_readable(ink))
    return [ink for _, ink in zip(range(num_inks), readable, strict=False)]


def labels_of(inks: Sequence[RawInk], *, num_labels: int = 2000) -> list[str]:
    """Normalised labels of as many of the inks, chosen at random."""
    return [normalize(_label(ink)) for ink in choose(inks, num_inks=min(num_labels, len(inks)))]


def _label(ink: RawInk) -> str:
    limits = IngestParams()
    parsed = parse_inkml(ink.data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points)
    return next((parsed.annotations[kind] for kind in LABELS if kind in parsed.annotations), "")


def _is_readable(ink: RawInk) -> bool:
    try:
        return bool(normalize(_label(ink))) and bool(parse_ink(ink.data)[0])
    except (
        UnusableInkError,
        SyntaxError,
        ValueError,
    ):  # ElementTree's error for what is not well-formed is a SyntaxError
        return False


def copies(inks: Sequence[RawInk], *, num_inks: int) -> Iterator[RawInk]:
    """Yield `num_inks` inks under different names, none of which is a duplicate of another.

    The first ones as they are; then the same again with their first coordinate moved by a hundred-thousandth of itself.
    """
    for number in range(num_inks):
        round_number, place = divmod(number, len(inks))
        ink = inks[place]
        data = ink.data
        if round_number:
            data = _FIRST_NUMBER.sub(partial(_moved, turn=round_number), data, count=1)
        yield RawInk(name=f"{round_number:03d}/{ink.name}", data=data)


def _moved(found: re.Match[bytes], *, turn: int) -> bytes:
    return found[1] + repr(float(found[2]) * (1 + 1e-5 * turn) + 1e-5 * turn).encode()


def write_tar(path: Path, inks: Iterator[RawInk]) -> int:
    """Write a plain tar of inks; returns their number."""
    number = 0
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for ink in inks:
            info = tarfile.TarInfo(ink.name)
            info.size = len(ink.data)
            tar.addfile(info, io.BytesIO(ink.data))
            number += 1
    return number


def write_files(folder: Path, inks: Sequence[RawInk]) -> list[Path]:
    """Write each ink into a file of its own, as the baselines read them."""
    paths = [folder / f"{number:06d}.inkml" for number in range(len(inks))]
    folder.mkdir(parents=True)
    for path, ink in zip(paths, inks, strict=True):
        path.write_bytes(ink.data)
    return paths
