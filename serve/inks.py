"""One InkML file as strokes, for a person who waits for the answer."""

from latexify.common.errors import LatexifyError
from latexify.pipeline.config import IngestParams
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Stroke


def strokes_of(data: bytes) -> list[Stroke]:
    """The strokes of an InkML file, under the limits that the ingest stage has unless it is told otherwise.

    Raises LatexifyError where it is no InkML, damaged, empty or too large.
    """
    limits = IngestParams()
    try:
        return parse_inkml(data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points).strokes
    except UnusableInkError as error:
        raise LatexifyError(f"the ink cannot be read ({error.reason}: {error.detail})") from None
