"""The widgets accept anything that a browser may send."""

from types import SimpleNamespace

import pytest
import streamlit as st

from latexify.serve.demo import widgets


@pytest.mark.parametrize("ink", [None, 3, "x", {}, {"json": 3}, {"json": '{"strokes":[]}', "example": "a"}])
def test_an_empty_sheet_is_not_an_ink(monkeypatch: pytest.MonkeyPatch, ink: object) -> None:
    """Nor is anything else that the page's script would not send."""
    renderer = lambda *_, **__: lambda **_: SimpleNamespace(ink=ink)  # noqa: E731  # one line
    monkeypatch.setattr(st.components.v2, "component", renderer)
    assert widgets.sheet([]) is None
