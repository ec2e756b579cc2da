"""The demo as a process: Streamlit's application under uvicorn, alone with this machine."""

import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App
from streamlit.web.bootstrap import load_config_options

from latexify.serve.demo.state import DemoSettings, examples_of, reader_of
from latexify.serve.http.limits import Limits
from latexify.serve.http.sockets import listen, run_until_signalled, url_of

SCRIPT = Path(__file__).resolve().parent / "script.py"

SHUTDOWN_TIMEOUT_S = 2
"""For visitors who are still connected when the demo ends."""

MAX_MESSAGE_MB = 16
"""Of what a browser sends about its widgets, and of what is sent to it."""

POLICY = (
    "default-src 'self'; "
    "script-src 'self' 'unsafe-inline' blob:; "  # Streamlit's own page has a script, and loads ours from blobs
    "style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; "
    "font-src 'self' data:; "
    "worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
"""A browser fetches nothing from elsewhere for this page, whatever Streamlit or a formula would like."""


def options() -> dict[str, str | int | bool]:
    """Streamlit's options; they go before those of its own files, wherever a user has such."""
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


def run(settings: DemoSettings, *, host: str, port: int, open_browser: bool, announce: Callable[[str], None]) -> None:
    """Show the demo until SIGTERM or SIGINT, and return.

    port: 0 for any that is free. open_browser: show it to whoever sits here. announce: told where it is, once browsers
    can connect. Raises LatexifyError, before anything is served, where there is no model, the device or address cannot
    be had, or the inks are damaged.
    """
    load_config_options(options())
    reader_of(settings)
    examples_of(settings)
    listening = listen(host, port)
    app = App(SCRIPT, secrets={"latexify": settings.to_mapping()}, middleware=[Middleware(OwnPagesOnly)])
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws="websockets-sansio",
            ws_max_size=MAX_MESSAGE_MB * 2**20,
            lifespan="on",
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
        )
    )
    url = url_of(listening)
    announce(f"demo of {settings.model} on {url}")
    if open_browser:
        # in a thread, as some browsers are programs that return when they are closed
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    run_until_signalled(server, listening)


class OwnPagesOnly:
    """Middleware: answers go to pages of this server alone, and these load nothing from elsewhere.

    Streamlit itself would ask a service on the internet for this machine's address, to compare it with the origin of
    a page that it does not know. Here the origin is the host that was asked, or there is no answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or a websocket's."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2] != headers.get("host"):
            await self._refuse(scope, receive, send)
            return
        own = {**scope, "headers": [pair for pair in scope["headers"] if pair[0] != b"origin"]}

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(own, receive, send_with_policy)

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        await PlainTextResponse("this page may not ask here", status_code=403)(scope, receive, send)
