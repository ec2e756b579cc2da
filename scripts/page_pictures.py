"""Take the pictures of the demo and of the service's page for the docs: `python -m scripts.page_pictures`.

Starts `latexify demo` and `latexify serve` on free ports, and headless Chromium (or Google Chrome) to look at them.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.package_data import default_model
from scripts.browser import Chromium, Page, every, find_browser, first
from scripts.marked_pictures import write_marked

REPOSITORY = Path(__file__).resolve().parent.parent


class Look(TypedDict, total=False):
    """How a visitor looks at the page."""

    width_px: int
    height_px: int
    dark: bool
    phone: bool


LOOKS: dict[str, Look] = {
    "light": {"width_px": 1280, "height_px": 800},
    "dark": {"width_px": 1280, "height_px": 800, "dark": True},
    "phone": {"width_px": 375, "height_px": 812, "phone": True},
}
PAGES = {"demo": ["demo", "--no-browser"], "serve": ["serve"]}
SETTLING_S = 1.5
"""For fonts, and for what Streamlit fades in."""


@contextmanager
def started(command: list[str]) -> Iterator[str]:
    """The URL of one of the two while it runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "latexify", *command, "--port", "0"], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.readline()
            found = re.search(r"http://\S+", said)
            if found is None:
                sys.exit(said.strip())
            yield found[0]
        finally:
            process.terminate()


def take(page: Page, url: str, look: Look, *, example: int) -> bytes:
    """One picture of the page, with an example (from 1) on the sheet."""
    page.look_like(**look)
    page.open(url)
    page.wait_for("fetch('/ready').then((answer) => answer.status !== 503)")  # the demo knows no such page
    page.wait_for(f"{every('#examples button')}.length >= {example}")
    page.value(f"{every('#examples button')}[{example - 1}].click()")
    page.wait_for(first("#readings svg"))
    page.value("document.activeElement.blur()")
    time.sleep(SETTLING_S)
    return page.picture()


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/images", help="Folder for the PNG files.")
    parser.add_argument("--model", type=Path, default=default_model(), help="Model folder. Default: the shipped one.")
    parser.add_argument("--example", type=int, default=10, help="Which example is on the sheet, from 1.")
    arguments = parser.parse_args()
    browser_command = find_browser()
    if browser_command is None:
        sys.exit("page_pictures: needs chromium or google-chrome")
    fingerprint = read_manifest(arguments.model, MODEL).fingerprint
    for kind, command in PAGES.items():
        with (
            started([*command, "--model", str(arguments.model)]) as url,
            tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
            Chromium(browser_command, Path(folder)) as browser,
        ):
            for name, look in LOOKS.items():
                with browser.page() as page:
                    path = arguments.out / f"{kind}-{name}.png"
                    write_marked(path, take(page, url, look, example=arguments.example), model=fingerprint)
                    print(path)


if __name__ == "__main__":
    main()
