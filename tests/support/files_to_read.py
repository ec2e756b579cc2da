"""A folder of inks and pictures that can be read, and of files that cannot."""

from pathlib import Path

import numpy as np

from tests.support.handwriting import encoded, ink, inkml

EMPTY_INK = b'<ink xmlns="http://www.w3.org/2003/InkML"><trace></trace></ink>'


def write_files(folder: Path) -> Path:
    """Write good and bad files, as their names say, into a folder, and return it."""
    contents = {
        "a-good.inkml": inkml(),
        "b-bad-empty.inkml": b"",
        "c-bad-no-strokes.inkml": EMPTY_INK,
        "d-good.png": encoded(255 - 255 * ink()),
        "e-bad-blank.png": encoded(np.full((80, 90), 255.0)),
        "f-bad-cut.png": encoded(255 - 255 * ink())[:600],
        "g-bad-text.jpg": b"not an image at all",
        "h-good.jpg": encoded(200 * ink() + 20, "JPEG"),
        "i-bad-svg.inkml": b"<svg></svg>",
        "sub/j-good.INKML": inkml().replace(b'"http', b'"https', 1),
        "notes.txt": b"to be left alone",
    }
    for name, content in contents.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
