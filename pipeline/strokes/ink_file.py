"""Read an ink from the content of a file, whatever its format. Only the parser that is needed is imported."""

from latexify.pipeline.config import MAX_FILE_BYTES, MAX_POINTS
from latexify.pipeline.inkml.root import root_name
from latexify.pipeline.strokes.content import InkFile


def read_ink_file(data: bytes, *, max_file_bytes: int = MAX_FILE_BYTES, max_points: int = MAX_POINTS) -> InkFile:
    """Read an ink: InkML, SVG, or JSON of the kinds in `latexify.pipeline.strokes.json_file`.

    The limits bound time and memory. Raises only UnusableInkError, whatever the bytes are.
    """
    if is_json(data):
        from latexify.pipeline.strokes.json_file import read_json_file  # noqa: PLC0415  # only where it is needed

        return read_json_file(data, max_file_bytes=max_file_bytes, max_points=max_points)
    if root_name(data) == "svg":
        from latexify.pipeline.strokes.svg import read_svg  # noqa: PLC0415

        return read_svg(data, max_file_bytes=max_file_bytes, max_points=max_points)
    from latexify.pipeline.inkml.document import parse_inkml  # noqa: PLC0415  # XML is parsed only where it is needed

    ink = parse_inkml(data, max_file_bytes=max_file_bytes, max_points=max_points)
    return InkFile(strokes=ink.strokes, annotations=ink.annotations)


def looks_like_ink(data: bytes) -> bool:
    """Whether the content of a file begins like markup or JSON, or is empty; images do neither."""
    return _first_character(data) in {b"<", b"{", b"[", b""}


def is_json(data: bytes) -> bool:
    """Whether the content of a file begins like JSON."""
    return _first_character(data) in {b"{", b"["}


def _first_character(data: bytes) -> bytes:
    """Return the first character that is no white space, of UTF-8 or UTF-16."""
    return data[:256].removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n")[:1]


def holds_ink(data: bytes) -> bool:
    """Whether the content of a file is of a format that is read; what is in it may still be refused."""
    if not is_json(data):
        return root_name(data) in {"ink", "svg"}
    from latexify.pipeline.strokes.json_file import is_known_json  # noqa: PLC0415  # only where it is needed

    return is_known_json(data)
