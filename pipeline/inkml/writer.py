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

from latexify.artifacts.files import temporary_of
from latexify.common.errors import LatexifyError
from latexify.shards.format.tar import TarWriter


class InkmlStyle(NamedTuple):
    """The spelling of documents.

    point: format of the values named by `channels`. between: points. The others stand before an element, before a
    channel, before the end of the trace format, and before the end of the document.
    """

    channels: Sequence[str]
    point: str
    between: str
    element: str
    channel: str
    channels_end: str
    end: str


RECORDED = InkmlStyle(("X", "Y", "T"), "%.2f %.2f %d", ",", "\n  ", "\n    ", "\n  ", "\n")
"""Positions in px and times in ms, indented."""
COMPACT = InkmlStyle(("X", "Y"), "%.1f %.1f", ", ", "\n", "", "", "\n\n")
"""Positions in px."""


def inkml(
    points: npt.NDArray[np.float64], stroke_lengths: Sequence[int], annotations: Mapping[str, str], style: InkmlStyle
) -> bytes:
    """Write one InkML document, UTF-8: annotations, the trace format, and a trace for each stroke.

    Args:
        points: float64 [num_points, num_channels], the strokes one after another.
        stroke_lengths: Number of points of each stroke.
        annotations: Text by type, in this order.
        style: How the document is spelled.
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

    The bytes of a tar depend on `members` alone. The output has a temporary name until it is complete.

    Args:
        out: Tar or folder to write.
        members: Name in the tar, whose last part is the name in a folder, and document.

    Raises:
        LatexifyError: If the folder exists already.
    """
    temporary = temporary_of(out)
    try:
        if out.suffix == ".tar":
            with temporary.open("wb") as file:
                tar = TarWriter(file)
                for member in members:
                    tar.append([member])
                tar.finish()
                file.write(bytes(-tar.num_bytes % tarfile.RECORDSIZE))  # as `tarfile` does
        else:
            if out.exists():
                raise LatexifyError(f"{out} exists already: name another folder, or remove it")
            temporary.mkdir(parents=True)
            for name, document in members:
                (temporary / PurePosixPath(name).name).write_bytes(document)
        temporary.replace(out)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
