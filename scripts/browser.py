"""Headless Chromium, told by its DevTools protocol what a person would do: for tests and pictures of pages.

Protocol: https://chromedevtools.github.io/devtools-protocol/. Pages that talk through websockets (Streamlit's) cannot
be driven by scripts of their own and `--dump-dom` alone, and only real events capture pointers.
"""

import base64
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from websockets.sync.client import ClientConnection, connect

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-port=0",
)
EVERYWHERE = """(selector) => {
  const search = (root) => [root.querySelectorAll(selector), ...[...root.querySelectorAll("*")]
    .filter((element) => element.shadowRoot).map((element) => search(element.shadowRoot))].flatMap((all) => [...all]);
  return search(document);
}"""
"""A function of JavaScript: all elements that fit a selector, also those in shadow roots."""
TIMEOUT_S = 60
CONNECTION: dict[str, Any] = {"max_size": 2**26, "close_timeout": 1, "open_timeout": TIMEOUT_S, "ping_interval": None}
"""A message may be the picture of a page; Chromium does not take leave, and is slow to answer on a busy machine."""


class Page:
    """A tab. asked_for: the URL of everything that it fetched. complaints: errors of its scripts and of its policy."""

    def __init__(self, connection: ClientConnection) -> None:
        self.asked_for: list[str] = []
        self.complaints: list[str] = []
        self._connection = connection
        self._numbers = itertools.count(1)
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(timeout=TIMEOUT_S))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, event: dict[str, Any]) -> None:
        found = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.asked_for.append(found["request"]["url"])
            case "Network.webSocketCreated":
                self.asked_for.append(found["url"])
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(found["exceptionDetails"])[:500])
            case "Log.entryAdded" if found["entry"]["level"] == "error":
                self.complaints.append(f"{found['entry']['text']} {found['entry'].get('url', '')}")

    def look_like(self, *, width_px: int, height_px: int, dark: bool = False, phone: bool = False) -> None:
        """Be a window, or a telephone with a touch screen, of this size, for a person who likes it dark or light."""
        metrics = {"width": width_px, "height": height_px, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self("Emulation.setDeviceMetricsOverride", **metrics)
        self("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go there."""
        self("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; a promise is waited for."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in found:
            raise RuntimeError(f"{expression}: {json.dumps(found['exceptionDetails'])[:1000]}")
        return found["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Until an expression is true, in JavaScript's sense. Raises TimeoutError."""
        end_s = time.monotonic() + TIMEOUT_S
        while not self.value(f"Promise.resolve({expression}).then(Boolean)"):
            if time.monotonic() > end_s:
                raise TimeoutError(f"never true: {expression}; {self.complaints}")
            time.sleep(0.05)

    def draw(self, points: Sequence[tuple[float, float]], *, touch: bool = False) -> None:
        """One stroke, by the mouse or a finger, in pixels of the window."""
        if touch:
            for x, y in points:
                kind = "touchStart" if (x, y) == points[0] else "touchMove"
                self("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
            self("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        pressed = {"button": "left", "buttons": 1, "clickCount": 1}
        (x, y), (last_x, last_y) = points[0], points[-1]
        self("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **pressed)
        for x, y in points[1:]:
            self("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, **pressed)
        self("Input.dispatchMouseEvent", type="mouseReleased", x=last_x, y=last_y, **pressed)

    def click(self, expression: str) -> None:
        """Click on the element that a JavaScript expression names, wherever it stands."""
        self.value(f"{expression}.scrollIntoView({{block: 'center'}})")
        box = self.value(f"{expression}.getBoundingClientRect().toJSON()")
        self.draw([(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)])

    def press(self, key: str, **more: Any) -> None:
        """A key, by its name in the DOM."""
        self("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **more)
        self("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    def choose_files(self, expression: str, paths: Sequence[Path]) -> None:
        """Choose files in the input that a JavaScript expression names."""
        found = self("Runtime.evaluate", expression=expression)
        self("DOM.setFileInputFiles", files=[str(path) for path in paths], objectId=found["result"]["objectId"])

    def picture(self) -> bytes:
        """The window as PNG."""
        return base64.b64decode(self("Page.captureScreenshot", format="png")["data"])


class Chromium:
    """A browser of its own, with a fresh profile in `folder`. It ends with its context."""

    def __init__(self, command: str, folder: Path) -> None:
        self._profile = folder / "profile"
        self._process = subprocess.Popen(
            [command, *SWITCHES, f"--user-data-dir={self._profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        """The browser."""
        return self

    def __exit__(self, *_: object) -> None:
        """Its end."""
        self._process.kill()
        self._process.wait()

    @contextmanager
    def page(self) -> Iterator[Page]:
        """A new tab."""
        port, path = _when(lambda: (self._profile / "DevToolsActivePort").read_text(encoding="utf-8").split("\n")[:2])
        with connect(f"ws://127.0.0.1:{port}{path}", **CONNECTION) as browser:
            browser.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
            target = json.loads(browser.recv(timeout=TIMEOUT_S))["result"]["targetId"]
            with connect(f"ws://127.0.0.1:{port}/devtools/page/{target}", **CONNECTION) as connection:
                yield Page(connection)


def _when(read: Callable[[], list[str]]) -> list[str]:
    """What is read once it is there: the browser writes it a moment after it starts."""
    end_s = time.monotonic() + TIMEOUT_S
    while time.monotonic() < end_s:
        try:
            found = read()
        except FileNotFoundError:
            found = []
        if len(found) == 2:
            return found
        time.sleep(0.05)
    raise TimeoutError("the browser does not start")


def every(selector: str) -> str:
    """The JavaScript for all elements that fit a selector, in whatever shadow: those outside first."""
    return f"({EVERYWHERE})({json.dumps(selector)})"


def first(selector: str) -> str:
    """The JavaScript for the first of `every`."""
    return f"{every(selector)}[0]"


def find_browser() -> str | None:
    """The command of a browser, or None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
