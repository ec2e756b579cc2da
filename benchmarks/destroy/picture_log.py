"""The log of a long fuzz: one line for each file, so that a run that was stopped goes on where it was."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

import PIL

import latexify.pipeline.image
from benchmarks.destroy.checks import Checked
from benchmarks.destroy.watch import Tally
from latexify.common.errors import LatexifyError

SOURCES = (Path(latexify.pipeline.image.__file__).parent, Path(__file__).parent)
"""What the files and their outcomes depend on."""


class PictureLog:
    """What became of files, by kind and number, in a file of JSON lines that grows."""

    def __init__(self, path: Path, *, seed: int) -> None:
        """Open or begin a log. Raises LatexifyError if it belongs to other files or to another state of the code."""
        self._path = path
        head = {"seed": seed, "pillow": PIL.__version__, "sources": _digest()}
        if not path.exists():
            self._append(head)
        text = path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]  # the last line is cut where a run was killed
        if whole != text:
            path.write_text(whole, encoding="utf-8")
        first, *lines = (json.loads(line) for line in whole.splitlines())
        if first != head:
            raise LatexifyError(f"{path} was begun with {first}, now there is {head}: choose another --log")
        self._entries: dict[tuple[str, int], dict[str, Any]] = {(line["kind"], line["number"]): line for line in lines}

    def record(self, kind: str, number: int, checked: Checked, peak_mib: float) -> None:
        """Write what became of a file."""
        entry = {"kind": kind, "number": number, "peak_mib": peak_mib, **asdict(checked)}
        self._entries[kind, number] = entry
        self._append(entry)

    def missing(self, batches: Iterable[tuple[str, range]]) -> Iterator[tuple[str, range]]:
        """Yield the batches without the files that are in the log."""
        for kind, numbers in batches:
            todo = (number for number in numbers if (kind, number) not in self._entries)
            for _, run in groupby(enumerate(todo), key=lambda item: item[1] - item[0]):
                group = [number for _, number in run]
                yield kind, range(group[0], group[-1] + 1)

    def tallies(self, num_of_kinds: Mapping[str, int]) -> dict[str, Tally]:
        """Count what became of the files, by kind."""
        tallies = {kind: Tally() for kind in num_of_kinds}
        for (kind, number), entry in sorted(self._entries.items()):
            if number < num_of_kinds.get(kind, 0):
                fields = {name: entry[name] for name in ("outcome", "read_s", "draw_s", "problems")}
                tallies[kind].add(number, Checked(**fields), entry["peak_mib"])
        return tallies

    def _append(self, entry: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _digest() -> str:
    files = sorted(path for folder in SOURCES for path in folder.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
