"""A formula as strokes, and photographs of it as people take them."""

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inks.ink import Stroke

CANVAS = Canvas(height_px=64, width_px=256, margin_px=2, pen_width_px=1.5)
HEIGHT_PX, WIDTH_PX = 420, 700

Floats = npt.NDArray[np.floating]


def strokes() -> list[Stroke]:
    """A fraction bar with a cross above, a ring and a dot below, and an equals sign."""
    turn = np.linspace(0, 2 * np.pi, 40)
    ring = np.stack([30 + 14 * np.cos(turn), 75 + 16 * np.sin(turn)], axis=1)
    lines = [
        [(0, 50), (100, 52)],
        [(30, 5), (62, 38)],
        [(62, 5), (30, 38)],
        [(70, 80)],
        [(120, 44), (150, 44)],
        [(120, 58), (150, 58)],
    ]
    return [np.array(line, np.float32) for line in [*lines, ring]]


def inkml() -> bytes:
    """The formula as an InkML file."""
    traces = [", ".join(f"{x:g} {y:g}" for x, y in stroke) for stroke in strokes()]
    body = "".join(f"<trace>{trace}</trace>" for trace in traces)
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{body}</ink>'.encode()


def ink(*, pen_px: float = 6, height_px: int = HEIGHT_PX, width_px: int = WIDTH_PX, margin_px: int = 40) -> Floats:
    """The formula's pixels, float [height, width], 0 paper, 1 ink."""
    canvas = Canvas(height_px=height_px, width_px=width_px, margin_px=margin_px, pen_width_px=pen_px)
    return 1 - draw_ink(strokes(), canvas) / 255


def encoded(values: Floats | Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """An image file. values: 0 to 255, [height, width] or [height, width, channels]."""
    image = values if isinstance(values, Image.Image) else Image.fromarray(values.clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_without_pixels(width_px: int, height_px: int) -> bytes:
    """A small PNG that claims to be large."""
    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 0, 0, 0, 0)
    pieces = ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in pieces
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def photographs() -> dict[str, bytes]:
    """The formula in many kinds of light, on many kinds of paper, and in many formats."""
    random = np.random.default_rng(1)
    noise = random.normal(0, 5, (HEIGHT_PX, WIDTH_PX))
    rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
    pen = ink()
    shadow = Image.fromarray(np.where(columns + rows > 500, 255, 120).astype(np.uint8))
    shade = np.asarray(shadow.filter(ImageFilter.GaussianBlur(4))) / 255
    rules = (rows % 60 < 2).astype(float)
    askew = ((rows - (columns * 0.03).astype(int)) % 70 < 2).astype(float)
    dust = 255 - 220 * pen
    for row, column in random.integers(3, HEIGHT_PX - 6, (60, 2)):
        dust[row : row + 2, column : column + 2] = 30
    table = random.normal(60, 5, (HEIGHT_PX + 200, WIDTH_PX + 200))
    table[100:-100, 100:-100] = 215 * (1 - 0.8 * pen) + noise
    colour = 255 - pen[..., None] * np.array([20, 200, 220])
    clear = np.zeros((HEIGHT_PX, WIDTH_PX, 4))
    clear[..., 3] = 255 * pen
    light = clear + np.array([255, 255, 255, 0])
    deep = Image.fromarray((60_000 - 50_000 * pen).astype(np.uint16))
    return {
        "uneven light": encoded((90 + 140 * columns / WIDTH_PX) * (1 - 0.75 * pen) + noise, "JPEG", quality=70),
        "hard shadow": encoded(220 * shade * (1 - 0.8 * pen) + noise, "JPEG", quality=80),
        "blackboard": encoded(50 + 150 * pen * random.uniform(0.7, 1, pen.shape) + 2 * noise, "JPEG", quality=70),
        "faint rules": encoded(235 - 40 * rules - 180 * pen + noise),
        "dark rules askew": encoded(235 - 120 * np.maximum(askew, 1.5 * pen) + noise),
        "pencil": encoded(220 - 80 * ink(pen_px=3) + noise / 2),
        "marker": encoded(250 - 230 * ink(pen_px=16)),
        "small": encoded(255 - 255 * ink(pen_px=2, height_px=90, width_px=150, margin_px=6)),
        "dust": encoded(dust),
        "sheet on a table": encoded(table, "JPEG", quality=80),
        "red": encoded(colour),
        "transparent": encoded(clear),
        "white on transparent": encoded(light),
        "palette": encoded(Image.fromarray((255 * (1 - pen)).astype(np.uint8)).convert("P")),
        "16 bits": encoded(deep),
        "animation": encoded(255 - 255 * pen, "GIF"),
        "large": encoded(Image.fromarray((255 * (1 - pen)).astype(np.uint8)).resize((5600, 3360)), "JPEG"),
    }
