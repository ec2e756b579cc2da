"""The parts are whole: the page loads each of them, and nothing else from the folder is forgotten."""

import re

from latexify.serve.web import parts


def test_the_page_has_the_elements_and_loads_every_script() -> None:
    """A forgotten script would leave buttons without effect."""
    page = parts.page()
    assert 'id="sheet"' in page
    assert re.findall(r'<script src="/(.*?)">', page) == [*parts.SCRIPTS, "page.js"]
    assert parts.MARK not in page
    scripts = {path.name for path in parts.STATIC.glob("*.js")}
    assert scripts == {*parts.SCRIPTS, "page.js"}


def test_every_element_that_a_script_looks_for_is_there() -> None:
    """A misspelt id would stop the page when the button is pressed."""
    ids = re.findall(r'id="([\w-]+)"', parts.read("writer.html"))
    assert len(ids) == len(set(ids))
    wanted = {name for script in parts.SCRIPTS for name in re.findall(r'find\("([\w-]+)"\)', parts.read(script))}
    assert wanted <= set(ids)
