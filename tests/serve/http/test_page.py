"""The page to write on, in headless Chromium without a driver: write, read, choose, copy, undo.

The page is served unchanged, plus one script that acts on it and records the results. Chromium then prints the page
(`--dump-dom`).
"""

import html
import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from latexify.serve.http.app import STATIC, make_app
from latexify.serve.http.worker import ServiceSettings
from tests.support.reading_models import export_folder, make_loaded

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

ACTIONS = """
const seen = { errors: [] };
addEventListener("error", (event) => seen.errors.push(event.message));
const canvas = find("sheet");
canvas.setPointerCapture = () => {};  // the pointer id of a scripted event is unknown to the browser
const point = (type, x, y) => {
  const box = canvas.getBoundingClientRect();
  const where = { clientX: box.left + canvas.clientLeft + x, clientY: box.top + canvas.clientTop + y };
  canvas.dispatchEvent(new PointerEvent(type, { ...where, pointerId: 7, button: 0, bubbles: true, cancelable: true }));
};
const line = (...points) => {
  point("pointerdown", ...points[0]);
  for (const [x, y] of points) point("pointermove", x, y);
  point("pointerup", ...points[points.length - 1]);
};
const until = async (condition) => { while (!condition()) await new Promise((done) => setTimeout(done, 20)); };
const answered = () => / % confidence$/.test(find("note").textContent);
const inked = () =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value !== 0);
(async () => {
  seen.blank = inked();
  line([20, 20], [60, 80]);
  line([60, 20], [40, 50], [20, 80]);
  await until(answered);
  seen.strokes = JSON.parse(JSON.stringify(sheet.strokes));
  seen.inked = inked();
  seen.latex = find("latex").value;
  seen.others = [...document.querySelectorAll("#others button")].map((button) => button.textContent);
  document.querySelector("#others button")?.click();
  seen.chosen = find("latex").value;
  find("copy").click();
  await until(() => !answered());
  seen.copied = find("note").textContent;
  seen.selected = String(getSelection());
  find("undo").click();
  await until(answered);
  seen.left = sheet.strokes.length;
  find("clear").click();
  seen.cleared = [inked(), find("latex").value, find("copy").disabled, find("undo").disabled];
  const out = document.createElement("pre");
  out.id = "seen";
  out.textContent = JSON.stringify(seen);
  document.body.append(out);
})();
"""


@pytest.fixture(scope="module")
def browser() -> str:
    """Command of a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser installed (looked for {', '.join(BROWSERS)}): the page's script is not tested")
    return browser


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """Run the application in a thread; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            while httpx2.get(f"{url}/ready").status_code != 200:
                pass
            yield url
        finally:
            server.should_exit = True
            thread.join()


def with_actions(model: Path) -> FastAPI:
    """The service, and its page with the actions appended, under the same policy."""
    app = make_app(ServiceSettings(model=model, device="cpu"), on_failure=lambda error: pytest.fail(str(error)))
    page = (
        (STATIC / "write.html").read_text(encoding="utf-8").replace("</body>", '<script src="/act.js"></script></body>')
    )
    app.get("/acted")(lambda: HTMLResponse(page))
    app.get("/act.js")(lambda: Response(ACTIONS, media_type="text/javascript"))
    return app


def act(browser: str, url: str, folder: Path) -> dict[str, Any]:
    """Run the actions and return their results."""
    switches = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    switches += ["--virtual-time-budget=20000", f"--user-data-dir={folder / 'profile'}", "--dump-dom"]
    done = subprocess.run([browser, *switches, f"{url}/acted"], check=True, capture_output=True, timeout=90)
    match = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout.decode(), re.DOTALL)
    assert match, "the actions did not finish"
    seen: dict[str, Any] = json.loads(html.unescape(match[1]))
    return seen


def test_a_user_who_writes_gets_latex_to_copy(browser: str, tmp_path: Path) -> None:
    """End to end: pointer, canvas, strokes, service, candidates, clipboard, undo."""
    model = export_folder(make_loaded("hybrid", tmp_path), tmp_path / "out")
    with serving(with_actions(model)) as url:
        seen = act(browser, url, tmp_path)
        answer = httpx2.post(f"{url}/recognize?beams=3", json={"strokes": seen["strokes"]}).json()
    assert seen["errors"] == []
    assert (seen["blank"], seen["inked"]) == (False, True)
    assert [[stroke[0], stroke[-1]] for stroke in seen["strokes"]] == [[[20, 20], [60, 80]], [[60, 20], [20, 80]]]
    others = [other["latex"] for other in answer["alternatives"]]
    assert (seen["latex"], seen["others"]) == (answer["latex"], others)
    assert seen["chosen"] == [answer["latex"], *others][:2][-1]
    assert seen["copied"] == "copied" or seen["selected"].strip() == seen["chosen"]
    assert seen["left"] == 1
    assert seen["cleared"] == [False, "", True, True]
