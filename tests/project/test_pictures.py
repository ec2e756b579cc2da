"""The pictures in the docs show what the project is now."""

import io
from pathlib import Path

import pytest
from PIL import Image

from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.package_data import default_model
from scripts.marked_pictures import model_of, write_marked
from scripts.page_pictures import LOOKS, PAGES
from scripts.report_pictures import LOOKS as REPORT_LOOKS

PICTURES = [
    *(f"{page}-{look}.png" for page in PAGES for look in LOOKS),
    *(f"report-{look}.png" for look in REPORT_LOOKS),
]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_show_the_shipped_model(repository: Path, name: str) -> None:
    """What readers see must be what they get. If not: docs/guide/demo.md and report.md say how to take them again."""
    assert model_of(repository / "docs/images" / name) == read_manifest(default_model(), MODEL).fingerprint


def test_every_picture_of_a_page_is_checked(repository: Path) -> None:
    """A picture with another name would stay as it is for ever."""
    found = {path.name for kind in (*PAGES, "report") for path in (repository / "docs/images").glob(f"{kind}-*.png")}
    assert found == set(PICTURES)


def test_a_mark_does_not_change_the_picture(tmp_path: Path) -> None:
    """Only the file names the model."""
    picture = Image.linear_gradient("L").convert("RGB")
    file = io.BytesIO()
    picture.save(file, "PNG")
    write_marked(tmp_path / "a.png", file.getvalue(), model="f00d")
    assert model_of(tmp_path / "a.png") == "f00d"
    with Image.open(tmp_path / "a.png") as marked:
        assert marked.tobytes() == picture.tobytes()
    (tmp_path / "b.png").write_bytes(file.getvalue())
    assert model_of(tmp_path / "b.png") is None
