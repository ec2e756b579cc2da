"""The page as visitors get it, without a browser."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from latexify.serve.demo.server import SCRIPT
from latexify.serve.demo.state import DemoSettings


@pytest.fixture
def page(settings: DemoSettings) -> AppTest:
    """The page as a visitor first sees it."""
    test = AppTest.from_file(SCRIPT, default_timeout=60)
    test.secrets["latexify"] = settings.to_mapping()
    return test.run()


def test_a_visitor_finds_the_parts_and_who_reads(page: AppTest) -> None:
    """On the first visit nothing failed, and nothing is answered that was not asked."""
    assert not page.exception
    assert not page.error
    (writer,) = page.get("bidi_component")
    data: Mapping[str, Any] = json.loads(writer.proto.json)
    assert data == {"answers": {}}
    (footer,) = page.markdown
    assert "Recognised by the model out on a picture of at most" in footer.value
