"""The files of a form (multipart/form-data, RFC 7578) that is in memory, without a file on disk."""

from python_multipart.multipart import MultipartParser

from latexify.serve.http.http_errors import malformed, too_large


def split_parts(body: bytes, *, boundary: bytes, max_parts: int) -> list[bytes]:
    """The contents of the parts, whatever their names are, in their order.

    Raises HttpError (400, 413) where the form is cut off or has too many parts, and FormParserError of
    python_multipart where it is no form.
    """
    gathering = _Gathering(max_parts)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": gathering.begin,
            "on_part_data": gathering.add,
            "on_end": gathering.finish,
        },
        max_size=len(body) + 1,
    )
    parser.write(body)
    parser.finalize()
    if not gathering.is_whole:
        raise malformed("the form is cut off: its last boundary is missing")
    return [bytes(part) for part in gathering.parts]


class _Gathering:
    """What the parser has found so far."""

    def __init__(self, max_parts: int) -> None:
        self.parts: list[bytearray] = []
        self.is_whole = False
        self._max_parts = max_parts

    def begin(self) -> None:
        if len(self.parts) == self._max_parts:
            raise too_large(f"more than {self._max_parts} files: send several requests")
        self.parts.append(bytearray())

    def add(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1] += memoryview(data)[start:end]

    def finish(self) -> None:
        self.is_whole = True
