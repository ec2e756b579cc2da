"""Run the demo as a process: Streamlit's application under uvicorn, without access to other servers."""

import threading
import webbrowser
from collections.abc import Callable, Sequence
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App
from streamlit.web.bootstrap import load_config_options

from latexify.serve.demo.state import DemoSettings, shared_examples, shared_recognizer
from latexify.serve.http.limits import Limits
from latexify.serve.http.sockets import listen, make_server, run_until_signalled, url_of

SCRIPT = Path(__file__).resolve().parent / "script.py"
SHUTDOWN_TIMEOUT_S = 2  # time for connected visitors when the demo ends
MAX_MESSAGE_MB = 16  # largest message from and to a browser
POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' blob:; "  # Streamlit's page has inline scripts, and loads ours from blobs
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""Keeps the browser from loading anything from other servers for this page."""


def options() -> dict[str, str | int | bool]:
    """Return Streamlit's options, which override those of the user's own configuration files."""
    return {
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "global.developmentMode": False,
        "logger.level": "warning",
        "server.enableAgentApi": False,
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.maxMessageSize": MAX_MESSAGE_MB,
        "server.maxUploadSize": Limits().max_body_bytes // 1_000_000,
        "server.maxWidgetStateSize": MAX_MESSAGE_MB,
        "theme.paddingTop": "0.5rem",
        "theme.paddingBottom": "2rem",
        "theme.light.primaryColor": "#2456c7",
        "theme.dark.primaryColor": "#8ab0ff",
    }


def run(  # noqa: PLR0913  # all but the settings are named
    settings: DemoSettings,
    *,
    host: str,
    port: int,
    open_browser: bool,
    announce: Callable[[str], None],
    framed_by: Sequence[str] = (),
) -> None:
    """Serve the demo until SIGTERM or SIGINT, and return.

    Port 0 takes any free one. `announce` gets a line with the URL once browsers can connect. `framed_by` are origins
    whose pages may show the demo in a frame.

    Raises:
        LatexifyError: If model, device or address cannot be used, or the inks are damaged; before anything is served.
    """
    load_config_options(options())
    shared_recognizer(settings)
    shared_examples(settings)
    listener = listen(host, port)
    app = App(
        SCRIPT,
        secrets={"latexify": settings.to_mapping()},
        middleware=[Middleware(SameOriginOnly, framed_by=framed_by)],
    )
    server = make_server(
        app,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_MB * 2**20,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )
    url = url_of(listener)
    announce(f"demo of {settings.model} on {url}")
    if open_browser:
        # in a thread, since some browsers block until they are closed
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    run_until_signalled(server, listener)


class SameOriginOnly:
    """Middleware that only answers pages of this server, and keeps them from loading anything from other servers.

    For an unknown origin, Streamlit itself would ask a service on the internet for this machine's address. This
    middleware refuses every origin but the requested host, and hides the header from Streamlit.
    """

    def __init__(self, app: ASGIApp, *, framed_by: Sequence[str] = ()) -> None:
        self._app = app
        self._policy = " ".join((POLICY, *framed_by))  # which ends with frame-ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an HTTP or WebSocket request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            await self._refuse(scope, receive, send)
            return
        inner_scope = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"origin"]}

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = self._policy
            await send(message)

        await self._app(inner_scope, receive, send_with_policy)

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse("requests from other origins are not allowed", status_code=403)(scope, receive, send)
