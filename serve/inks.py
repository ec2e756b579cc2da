"""One InkML file as strokes, for a person who waits for the answer."""

from pipeline.config import IngestParams
from pipeline.ink import Stroke
from pipeline.inkml import parse_inkml
from pipeline.markup import UnusableInkError
from shards.errors import LatexifyError


def strokes_of(data: bytes) -> list[Stroke]:
    """The strokes of an InkML file, under the limits that the ingest stage has unless it is told otherwise.

    Raises LatexifyError where it is no InkML, damaged, empty or too large.
    """
    limits = IngestParams()
    try:
        return parse_inkml(data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points).strokes
    except UnusableInkError as error:
        raise LatexifyError(f"the ink cannot be read ({error.reason}: {error.detail})") from None
