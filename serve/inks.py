"""One InkML file as strokes, for a person who waits for the answer."""

from latexify.common.errors import LatexifyError
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Stroke


def strokes_of(data: bytes) -> list[Stroke]:
    """The strokes of an InkML file, under the limits that the ingest stage has unless it is told otherwise.

    Raises LatexifyError where it is no InkML, damaged, empty or too large.
    """
    try:
        return parse_inkml(data).strokes
    except UnusableInkError as error:
        raise LatexifyError(f"the ink cannot be read ({error.reason}: {error.detail})") from None
