"""Files of the web parts. They use nothing of the page around them but a function that finds an element by its id."""

from pathlib import Path

STATIC = Path(__file__).resolve().parent / "static"
SCRIPTS = (
    "sheet.js",
    "lines.js",
    "clipboard.js",
    "formula.js",
    "readings.js",
    "files.js",
    "history.js",
    "examples.js",
    "writer.js",
)
"""In the order in which they are loaded; the page's own script follows."""
MARK = "<!-- writer -->"
"""In a page: the place of the elements."""


def read(*names: str) -> str:
    """Return the text of files, one after another."""
    return "\n".join((STATIC / name).read_text(encoding="utf-8") for name in names)


def page() -> str:
    """Return the service's page with the elements of the parts in it."""
    scripts = "\n".join(f'<script src="/{name}"></script>' for name in (*SCRIPTS, "page.js"))
    return read("page.html").replace(MARK, read("writer.html")).replace("<!-- scripts -->", scripts)
