"""A small application behind the checks of who may use the service."""

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient

from latexify.serve.http.access.access import Access, add_access


def client_of(access: Access | None = None, *, url: str = "http://testserver") -> TestClient:
    """A client of an application with /, /page, /health and POST /recognize."""
    app = FastAPI(docs_url=None, redoc_url=None)
    add_access(app, access or Access())

    async def text() -> PlainTextResponse:
        return PlainTextResponse("fine")

    async def page() -> PlainTextResponse:
        return PlainTextResponse("fine", headers={"Content-Security-Policy": "its own"})

    for path in ("/", "/health"):
        app.get(path)(text)
    app.get("/page")(page)
    app.post("/recognize")(text)
    return TestClient(app, base_url=url)
