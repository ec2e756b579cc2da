"""The page to write on, in a browser, by the service or the demo: what a person does there."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from latexify.common.package_data import default_model
from scripts.browser import Page, first
from tests.support.service_process import Service, service

Kind = Literal["service", "demo"]
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
READY: dict[Kind, str] = {
    "service": "typeof readings !== 'undefined' && document.readyState === 'complete'",
    "demo": f"{first('#sheet')}?.getRootNode().writer",
}
NAMES = f"""(() => {{
  const root = {first("#sheet")}.getRootNode();
  Object.assign(globalThis, root.writer, {{ find: (id) => root.getElementById(id) }});
}})()"""
"""Gives the parts of the demo, which are in a shadow root, the names that they have on the service's page."""


@contextmanager
def running(kind: Kind) -> Iterator[Service]:
    """Run the service or the demo with the shipped model."""
    arguments = {"service": (), "demo": ("--no-browser",)}[kind]
    names = {"service": ("serve", "/ready"), "demo": ("demo", "/_stcore/health")}[kind]
    with service(default_model(), *arguments, name=names[0], ready=names[1]) as started:
        yield started


def open_page(page: Page, url: str, *, kind: Kind = "service", keep: bool = False) -> None:
    """Open the page, with nothing stored unless it is to be kept, and wait until it takes input."""
    page.look_like(width_px=1280, height_px=800)
    page.open(url)
    page.wait_for(READY[kind])
    if not keep:
        page.value("localStorage.clear()")
        page.value("globalThis.isOld = true")
        page.open(url)
        page.wait_for(f"typeof isOld === 'undefined' && {READY[kind]}")
    if kind == "demo":
        page.value(NAMES)
    page.wait_for("find('examples').children.length > 0")
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
    give_files(page, kind, {name: data}, media_type=media_type)


def give_files(page: Page, kind: str, files: dict[str, bytes], *, media_type: str = "image/png") -> None:
    """Paste or drop files."""
    contents = json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()})
    carrier = {"paste": "clipboardData", "drop": "dataTransfer"}[kind]
    event = {"paste": "ClipboardEvent", "drop": "DragEvent"}[kind]
    page.value(f"""(() => {{
      const data = new DataTransfer();
      for (const [name, content] of Object.entries({contents})) {{
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, {{ type: {json.dumps(media_type)} }}));
      }}
      document.body.dispatchEvent(new {event}("{kind}", {{ {carrier}: data, bubbles: true, cancelable: true }}));
    }})()""")


def drop_paths(page: Page, paths: Sequence[Path]) -> None:
    """Drop files or folders of this machine onto the sheet, as a person does from the file manager."""
    page.value("find('sheet').scrollIntoView({block: 'center'})")
    box = page.value("find('sheet').getBoundingClientRect().toJSON()")
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    carried = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page("Input.dispatchDragEvent", type=kind, data=carried, **place)


def texts(page: Page, name: str, selector: str) -> list[str]:
    """The texts of the elements in the one with an id that fit a selector."""
    inner = f"find({json.dumps(name)}).querySelectorAll({json.dumps(selector)})"
    found: list[str] = page.value(f"[...{inner}].map((element) => element.textContent)")
    return found


def violations(page: Page) -> list[dict[str, Any]]:
    """What axe finds wrong with the page as it is, in shadow roots, too."""
    folder = find_spec("axe_core_python")
    assert folder is not None
    assert folder.origin is not None
    page.value(Path(folder.origin).with_name("axe.min.js").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.value(
        "axe.run(document, { resultTypes: ['violations'] }).then((result) => result.violations.map(({ id, nodes }) => "
        "({ id, nodes: nodes.map((node) => node.html.slice(0, 200)) })))"
    )
    return found
