"""Symbols of files (detexify: label, strokes; MathWriting: strokes of the dataset's inks), and of the stroke font.

Formats: one JSON object per line. Detexify: `label`, `strokes` as lists of `[x, y]`, y downward, and perhaps `source`,
a path whose folder names the contributor and whose file is about one writer's. MathWriting (`symbols.jsonl`):
`sourceSampleId`, `strokeIndices`, `label`.
"""

import bz2
import gzip
import hashlib
import json
import lzma
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, cast

import numpy as np

from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.latex import normalize, tokenize
from latexify.pipeline.synthesis.composed.bank import LooseSymbol, Writer
from latexify.pipeline.synthesis.fonts.hand import ImaginaryWriter
from latexify.pipeline.synthesis.formulas.symbols import NAMED, TERMINALS

NUM_FONT_WRITERS = 24

_OPENERS: Mapping[bytes, Callable[[IO[bytes]], object]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGE = (OSError, EOFError, lzma.LZMAError, UnicodeDecodeError)


@dataclass(slots=True, kw_only=True)
class SymbolFiles:
    """Contents of symbol files: symbols, and by sample id label and stroke indices of symbols in the dataset's inks."""

    symbols: list[LooseSymbol] = field(default_factory=list)
    divisions: dict[str, list[tuple[str, list[int]]]] = field(default_factory=dict)


def read_lines(path: Location) -> Iterator[str]:
    """Yield the lines of a text file, plain or compressed. Raises LatexifyError if it is missing or damaged."""
    try:
        with path.open("rb") as file:
            magic = file.read(6)
            file.seek(0)
            opener = next((open_ for prefix, open_ in _OPENERS.items() if magic.startswith(prefix)), None)
            stream = cast("IO[bytes]", opener(file) if opener else file)
            for line in stream:
                yield line.decode("utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise LatexifyError(f"{path} does not exist: put the file there, or name another in params.yaml") from None
    except _DAMAGE as error:
        raise LatexifyError(
            f"{path} cannot be read ({error}): it is damaged or not a text file, fetch it again"
        ) from error


def is_held_out(source: str, fraction: float) -> bool:
    """Whether the symbols of this `source` are among the fraction of writers whose symbols are left out.

    Decided by the file and its folder: UNIPEN's sections hold files of one name by one writer. Symbols without a writer
    of their own are never held out.
    """
    writer = "/".join(source.split("/")[-2:])
    if not fraction or not writer:
        return False
    return int.from_bytes(hashlib.sha256(writer.encode()).digest()[:8]) < fraction * 2**64


def read_symbol_files(paths: Sequence[Location], *, held_out_writers: float = 0.0) -> SymbolFiles:
    """Read symbol files; symbols whose label is not one token are skipped, and those of held-out writers.

    Raises LatexifyError if a file cannot be read, or with the number of a line that is bad.
    """
    files = SymbolFiles()
    for path in paths:
        for number, line in enumerate(read_lines(path), start=1):
            if line.strip():
                try:
                    _take(json.loads(line), files, path=path, held_out_writers=held_out_writers)
                except (ValueError, KeyError, TypeError) as error:
                    raise LatexifyError(
                        f"{path}, line {number}: not a symbol ({type(error).__name__}: {error}): it must be a JSON "
                        "object with `label` and `strokes`, or `sourceSampleId`, `strokeIndices` and `label`"
                    ) from None
    return files


def _take(entry: Mapping[str, Any], files: SymbolFiles, *, path: Location, held_out_writers: float) -> None:
    if is_held_out(str(entry.get("source", "")), held_out_writers):
        return
    token = normalize(entry["label"])
    if len(tokenize(token)) != 1:
        return
    if "strokes" in entry:
        strokes = [np.array(stroke, np.float32).reshape(-1, 2) for stroke in entry["strokes"] if stroke]
        if strokes and all(np.isfinite(stroke).all() for stroke in strokes):
            # the files of a contributor together: one alone holds too few symbols to write formulas with
            name = str(entry.get("source", "")).rpartition("/")[0] or path.name
            files.symbols.append(LooseSymbol(Writer(name=name, folder=path.name), token, strokes))
        return
    numbers = [int(number) for number in entry["strokeIndices"]]
    files.divisions.setdefault(str(entry["sourceSampleId"]), []).append((token, numbers))


def font_symbols(known: frozenset[str], *, seed: int) -> list[LooseSymbol]:
    """Every terminal of the stroke font that is not `known`, by each of a few imaginary writers."""
    symbols: list[LooseSymbol] = []
    for number in range(NUM_FONT_WRITERS):
        imaginary, writer = ImaginaryWriter(seed, number), Writer(name=f"hand {number}", folder="stroke font")
        for token in TERMINALS:
            if token not in known and token not in NAMED:
                strokes = [stroke.astype(np.float32) for stroke in imaginary.glyph(token, 0.5).strokes]
                symbols.append(LooseSymbol(writer, token, strokes))
    return symbols
