"""Pictures for the docs that name the model they show, so that a test finds those that are older than the weights."""

import io
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

MODEL = "Model"
"""Keyword of the text in the PNG: the fingerprint in the model's manifest."""


def write_marked(path: Path, png: bytes, *, model: str) -> None:
    """Write a PNG with the fingerprint of the model that it shows."""
    texts = PngInfo()
    texts.add_text(MODEL, model)
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(path, "PNG", optimize=True, pnginfo=texts)


def model_of(path: Path) -> str | None:
    """Fingerprint of the model that a picture shows; None if it names none."""
    with Image.open(path) as picture:
        return picture.info.get(MODEL)
