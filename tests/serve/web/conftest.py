"""A browser, and the page by the service and by the demo."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from scripts.browser import Chromium, Page, find_browser
from tests.support.service_process import Service
from tests.support.write_page import Kind, open_page, running


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A browser."""
    command = find_browser()
    if command is None:
        pytest.skip("no browser installed (chromium, google-chrome): the pages are not tested in one")
    with Chromium(command, tmp_path_factory.mktemp("browser")) as browser:
        yield browser


@pytest.fixture(scope="session", params=["service", "demo"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Whose page it is."""
    return "demo" if request.param == "demo" else "service"


@pytest.fixture(scope="session")
def server(kind: Kind) -> Iterator[Service]:
    """The service or the demo with the shipped model."""
    with running(kind) as started:
        yield started


@pytest.fixture
def page(chromium: Chromium, kind: Kind, server: Service) -> Iterator[Page]:
    """The page with an empty sheet, in a new tab. It must ask no other server for anything, and have no errors."""
    with chromium.page() as page:
        open_page(page, server.url, kind=kind)
        yield page
        assert page.complaints == []
        asked = [url.removeprefix("blob:") for url in page.asked_for if not url.startswith("data:")]
        assert {urlsplit(url).netloc for url in asked} == {urlsplit(server.url).netloc}
