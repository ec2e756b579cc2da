"""InkML of synthetic inks, and archives of it.

Format: InkML as MathWriting writes it (github.com/google-research/google-research/tree/master/mathwriting).
"""

import shutil
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from latexify.artifacts.files import replacing
from latexify.common.errors import LatexifyError
from latexify.shards.format.tar import TarWriter


class InkmlStyle(NamedTuple):
    """The spelling of documents."""

    channels: Sequence[str]
    point: str  # format of the values named by `channels`
    between: str  # points
    element: str  # before an element
    channel: str  # before a channel
    channels_end: str  # before the end of the trace format
    end: str  # before the end of the document


RECORDED = InkmlStyle(("X", "Y", "T"), "%.2f %.2f %d", ",", "\n  ", "\n    ", "\n  ", "\n")
"""Positions in px and times in ms, indented."""
COMPACT = InkmlStyle(("X", "Y"), "%.1f %.1f", ", ", "\n", "", "", "\n\n")
"""Positions in px."""


def inkml(
    points: npt.NDArray[np.float64], stroke_lengths: Sequence[int], annotations: Mapping[str, str], style: InkmlStyle
) -> bytes:
    """Write one InkML document, UTF-8: annotations (text by type, in this order), the trace format, and traces.

    points: float64 [num_points, num_channels], the strokes one after another.
    """
    texts = [
        f'{style.element}<annotation type="{name}">{escape(text)}</annotation>' for name, text in annotations.items()
    ]
    channels = [f'{style.channel}<channel name="{name}" type="decimal"/>' for name in style.channels]
    traces = [
        f'{style.element}<trace id="{index}">{style.between.join([style.point] * length)}</trace>'
        for index, length in enumerate(stroke_lengths)
    ]
    # One format of all points together is several times faster than one for each point.
    written = "".join(traces) % tuple(points.ravel().tolist())
    head = f'<ink xmlns="http://www.w3.org/2003/InkML">{"".join(texts)}{style.element}<traceFormat>{"".join(channels)}'
    return f"{head}{style.channels_end}</traceFormat>{written}{style.end}</ink>\n".encode()


def write_archive(out: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write documents, as they come, into the tar `out`, or into a new folder unless its name ends in `.tar`.

    A member is a name in the tar, whose last part is the name in a folder, and a document. The bytes of a tar depend on
    `members` alone. The output has a temporary name until it is complete. Raises LatexifyError if the folder exists.
    """
    if out.suffix == ".tar":
        with replacing(out) as temporary, temporary.open("wb") as file:
            tar = TarWriter(file)
            for member in members:
                tar.append([member])
            tar.finish()
            file.write(bytes(-tar.num_bytes % tarfile.RECORDSIZE))  # as `tarfile` does
        return
    if out.exists():
        raise LatexifyError(f"{out} exists already: name another folder, or remove it")
    folder = out.with_name(f".{out.name}.tmp")
    try:
        folder.mkdir(parents=True)
        for name, document in members:
            (folder / PurePosixPath(name).name).write_bytes(document)
        folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
