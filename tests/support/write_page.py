"""The service's page in a browser: what a person does there."""

import base64
import json
from collections.abc import Sequence

from scripts.browser import Page

PLUS = [[(60, 100), (120, 100)], [(90, 70), (90, 130)]]
ONE = [[(200, 75), (215, 62), (215, 140)]]
"""Strokes, relative to the sheet's corner; together they are +1."""
SPY = """(() => {
  window.copied = [];
  Object.defineProperty(navigator, "clipboard", { configurable: true, value: {
    writeText: async (text) => { copied.push(text); },
    write: async (items) => { const blob = await items[0].getType("image/png"); copied.push([blob.type, blob.size]); },
  } });
})()"""
"""Takes the place of the clipboard, which a browser without a window does not give to pages."""


def open_page(page: Page, url: str, *, keep: bool = False) -> None:
    """Open the page, with nothing stored unless it is to be kept, and wait until it takes input."""
    page.look_like(width_px=1280, height_px=800)
    page.open(url)
    page.wait_for("typeof readings !== 'undefined' && document.readyState === 'complete'")
    if not keep:
        page.value("localStorage.clear()")
        page.open(url)
        page.wait_for("typeof readings !== 'undefined' && document.readyState === 'complete'")
    page.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.value(SPY)


def write(page: Page, strokes: Sequence[Sequence[tuple[float, float]]], *, touch: bool = False) -> None:
    """Write on the sheet."""
    page.value("find('sheet').scrollIntoView({block: 'center'})")
    box = page.value("find('sheet').getBoundingClientRect().toJSON()")
    for stroke in strokes:
        page.draw([(box["x"] + x, box["y"] + y) for x, y in stroke], touch=touch)


def wait_for_answer(page: Page) -> str:
    """Wait until an answer stands there, typeset; return its LaTeX."""
    page.wait_for("!['', 'Reading …'].includes(find('note').textContent) && readings.formula()?.svg")
    latex: str = page.value("readings.latex()")
    return latex


def give_file(page: Page, kind: str, data: bytes, *, name: str = "photo.png", media_type: str = "image/png") -> None:
    """Paste or drop a file (`kind`: the event)."""
    content = json.dumps(base64.b64encode(data).decode())
    carrier = {"paste": "clipboardData", "drop": "dataTransfer"}[kind]
    event = {"paste": "ClipboardEvent", "drop": "DragEvent"}[kind]
    page.value(f"""(() => {{
      const bytes = Uint8Array.from(atob({content}), (letter) => letter.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], {json.dumps(name)}, {{ type: {json.dumps(media_type)} }}));
      document.body.dispatchEvent(new {event}("{kind}", {{ {carrier}: data, bubbles: true, cancelable: true }}));
    }})()""")
