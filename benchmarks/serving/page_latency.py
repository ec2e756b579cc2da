"""Time from pen-up to the typeset answer: `python -m benchmarks.serving.page_latency [--rounds 30]`.

Headless Chromium writes on the service's page. The page's pause before it asks is deliberate and adapts to the writer,
so it is subtracted: what is left is sending, reading, typesetting and drawing.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from scripts.browser import Chromium, Page, find_browser
from tests.support.write_page import ONE, PLUS, open_page, running, wait_for_answer, write

WATCH = """(() => {
  globalThis.times = [];
  let upMs = null;
  addEventListener("pointerup", () => { upMs = performance.now(); pauseMs = pace.pauseMs(); }, true);
  let pauseMs = 0;
  new MutationObserver(() => {
    if (upMs === null || !find("preview").querySelector("svg")) return;
    times.push([performance.now() - upMs, pauseMs]);
    upMs = null;
  }).observe(find("preview"), { childList: true });
})()"""
"""Notes, for each answer, the milliseconds since pen-up, and the pause that was waited."""


def measure(page: Page, *, rounds: int) -> list[tuple[float, float]]:
    """Write a stroke again and again; return the milliseconds to the answer, and those of the pause in them."""
    write(page, [*PLUS, *ONE])
    wait_for_answer(page)
    page.value(WATCH)
    for number in range(rounds):
        shift = 8 * (number % 10)
        write(page, [[(260 + shift, 75), (275 + shift, 62), (275 + shift, 140)]])
        page.wait_for(f"times.length > {number}")
        page.click("find('undo')")
        page.value("new Promise((done) => setTimeout(done, 100))")
    times: list[tuple[float, float]] = page.value("times")
    return times


def main() -> None:
    """Print the median and the 95th percentile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="Strokes that are timed.")
    arguments = parser.parse_args()
    command = find_browser()
    if command is None:
        sys.exit("page_latency: needs chromium or google-chrome")
    with (
        running("service") as service,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        Chromium(command, Path(folder)) as browser,
        browser.page() as page,
    ):
        open_page(page, service.url)
        times = measure(page, rounds=arguments.rounds)
    beside = sorted(total - pause for total, pause in times)
    print(f"pause: {statistics.median(pause for _, pause in times):.0f} ms (median)")
    print(f"beside it: {statistics.median(beside):.0f} ms (median), {beside[int(0.95 * len(beside))]:.0f} ms (p95)")


if __name__ == "__main__":
    main()
