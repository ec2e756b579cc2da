"""Binary data in JSON: base64 as the tools of clients write it."""

import base64
import binascii
import re

from latexify.serve.http.http_errors import malformed

DATA_URL = re.compile(r"data:[^,]{0,200},", re.IGNORECASE)
WHITE_SPACE = str.maketrans("", "", " \t\r\n")
URL_SAFE = str.maketrans("-_", "+/")


def decode_base64(text: str, *, name: str) -> bytes:
    """Decode base64: also as a data URL (`canvas.toDataURL()`), with line ends, URL-safe, or without padding.

    Args:
        text: The text.
        name: What it is, for the message of errors.

    Raises:
        HttpError: 400 if it is something else.
    """
    start = DATA_URL.match(text)
    if start:
        if not start[0].lower().endswith(";base64,"):
            raise malformed(f"{name} is a data URL without base64: write it as data:image/png;base64,…")
        text = text[start.end() :]
    text = text.translate(WHITE_SPACE).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(f"{name} is not base64 ({error})") from None
