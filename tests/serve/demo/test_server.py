"""Start-up errors, options and access control of the demo's server."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from streamlit import config

from latexify.artifacts.names import MANIFEST_NAME
from latexify.common.errors import LatexifyError
from latexify.serve.demo.server import POLICY, SameOriginOnly, options, run
from latexify.serve.demo.state import DemoSettings
from tests.support.service_process import service


def test_damaged_inks_are_reported_before_anything_is_served(settings: DemoSettings, tmp_path: Path) -> None:
    """With one line at the start, instead of a page that fails for every visitor."""
    (tmp_path / MANIFEST_NAME).write_text("{")
    announced: list[str] = []
    damaged = DemoSettings.from_mapping({**settings.to_mapping(), "inks": str(tmp_path)})
    gone = DemoSettings.from_mapping({**settings.to_mapping(), "model": str(tmp_path / "gone")})
    for wrong, remedy in ((damaged, "latexify ingest"), (gone, "latexify train")):
        with pytest.raises(LatexifyError, match=remedy):
            run(wrong, host="127.0.0.1", port=0, open_browser=False, announce=announced.append)
    assert not announced


def ask(*, kind: str = "http", **headers: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the requests that reached the application, and the messages that the client got."""
    asked: list[dict[str, Any]] = []
    sent: list[dict[str, Any]] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        asked.append(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, str]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": "GET",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
    }
    asyncio.run(SameOriginOnly(app)(scope, receive, send))
    return asked, sent


def test_pages_of_other_origins_are_refused() -> None:
    """Any page in the same browser could otherwise send requests, and Streamlit would look its address up online."""
    for kind in ("http", "websocket"):
        asked, sent = ask(kind=kind, host="box:8501", origin="http://elsewhere")
        assert not asked
        assert sent[0].get("status", sent[0].get("code")) in {403, 1008}
    for headers in ({"host": "box:8501"}, {"host": "box:8501", "origin": "https://box:8501"}):
        asked, sent = ask(**headers)
        assert [name for name, _ in asked[0]["headers"]] == [b"host"]
        assert dict(sent[0]["headers"])[b"content-security-policy"] == POLICY.encode()


def test_streamlit_sends_no_data_to_others() -> None:
    """Usage statistics, error links and an interface for agents are on by default."""
    chosen = options()
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["client.showErrorDetails"] == "none"
    assert chosen["server.enableAgentApi"] is False
    assert set(chosen) <= set(config.get_config_options())


def test_the_demo_ends_on_sigterm_and_writes_nothing_at_home(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container is stopped by SIGTERM and killed ten seconds later; its home folder may be read-only."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with service(model, "--no-browser", name="demo", ready="/_stcore/health") as demo:
        assert demo.stop() == 0
    assert list(tmp_path.iterdir()) == []
