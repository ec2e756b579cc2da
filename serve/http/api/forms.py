"""Files of a form (RFC 7578), without files on disk."""

import logging

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from latexify.serve.http.http_errors import malformed, unusable

MULTIPART = "multipart/form-data"
logging.getLogger("python_multipart").addHandler(logging.NullHandler())  # else it writes bad headers on stderr


def files_of_form(body: bytes, boundary: bytes, *, max_files: int) -> list[bytes]:
    """Return the contents of a form's files, whatever their names.

    Raises:
        HttpError: 400 if the body is no form, or a part of it no file; 422 if there are more than `max_files`.
    """
    if not boundary:
        raise malformed(f"{MULTIPART} without a boundary: let your HTTP library write the header")
    reader = _Reader(max_files)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.begin,
                "on_header_begin": reader.begin_header,
                "on_header_field": reader.add_header_name,
                "on_header_value": reader.add_header_value,
                "on_headers_finished": reader.end_headers,
                "on_part_data": reader.add_data,
                "on_end": reader.end,
            },
            max_size=len(body) + 1,
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise malformed(f"the form cannot be parsed ({error}): let your HTTP library write it") from None
    if not reader.is_complete:
        raise malformed("the form is cut off: its last boundary is missing")
    if not reader.files:
        raise malformed("the form has no file: send at least one, for example with curl -F file=@ink.inkml")
    return [bytes(file) for file in reader.files]


class _Reader:
    """Gathers what the parser finds."""

    def __init__(self, max_files: int) -> None:
        self.files: list[bytearray] = []
        self.is_complete = False
        self._max_files = max_files
        self._headers: list[tuple[bytearray, bytearray]] = []

    def begin(self) -> None:
        if len(self.files) == self._max_files:
            raise unusable(f"more than {self._max_files} files: send several requests")
        self.files.append(bytearray())
        self._headers.clear()

    def begin_header(self) -> None:
        self._headers.append((bytearray(), bytearray()))

    def add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][0].extend(memoryview(data)[start:end])

    def add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][1].extend(memoryview(data)[start:end])

    def end_headers(self) -> None:
        values = [value for name, value in self._headers if name.lower() == b"content-disposition"]
        if not any({b"filename", b"filename*"} & parse_options_header(bytes(value))[1].keys() for value in values):
            raise malformed(
                f"part {len(self.files)} of the form is not a file, as it has no file name: send files, for example "
                "with curl -F file=@ink.inkml"
            )

    def add_data(self, data: bytes, start: int, end: int) -> None:
        self.files[-1].extend(memoryview(data)[start:end])

    def end(self) -> None:
        self.is_complete = True
