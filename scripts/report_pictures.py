"""Take the pictures of a report that docs/guide/report.md shows: `python -m scripts.report_pictures REPORT.html`."""

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from scripts.browser import Chromium, Page, find_browser
from scripts.marked_pictures import write_marked

REPOSITORY = Path(__file__).resolve().parent.parent
SETTLING_S = 0.5


class Look(NamedTuple):
    """How a person looks at the report, and at which of its sections; None: at its beginning."""

    width_px: int
    height_px: int
    section: str | None
    dark: bool = False
    phone: bool = False


LOOKS = {
    "light": Look(1100, 1200, section=None),
    "dark": Look(1100, 1200, section="gallery", dark=True),
    "phone": Look(375, 812, section="gallery", phone=True),
}


def take(page: Page, url: str, look: Look) -> bytes:
    """One picture."""
    page.look_like(width_px=look.width_px, height_px=look.height_px, dark=look.dark, phone=look.phone)
    page.open(url)
    page.wait_for("document.readyState === 'complete' && document.getElementById('figures')")
    if look.section is not None:
        page.value(f"document.getElementById('{look.section}').scrollIntoView({{behavior: 'instant'}})")
    time.sleep(SETTLING_S)
    return page.picture()


def main() -> None:
    """Take all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("report", type=Path, help="report.html")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/images", help="Folder for report-….png.")
    arguments = parser.parse_args()
    command = find_browser()
    if command is None:
        sys.exit("report_pictures: needs chromium or google-chrome")
    url = arguments.report.resolve(strict=True).as_uri()
    model = re.search(r'<th scope="row">model</th><td><code>(\w+)</code>', arguments.report.read_text(encoding="utf-8"))
    if model is None:
        sys.exit(f'report_pictures: {arguments.report} names no model under "Made from"')
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, Chromium(command, Path(folder)) as browser:
        for name, look in LOOKS.items():
            with browser.page() as page:
                path = arguments.out / f"report-{name}.png"
                write_marked(path, take(page, url, look), model=model[1])
                print(path)


if __name__ == "__main__":
    main()
