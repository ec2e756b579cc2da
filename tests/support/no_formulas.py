"""Pictures that people give a recogniser by mistake, and that hold no formula: print, code, charts, drawings."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT = (
    "The quick brown fox jumps over the lazy dog while seven wizards quietly mix big flasks of foaming black ink and "
    "nobody at the window seems to notice how late it has become in this old part of the town near the harbour where "
    "every evening the same boats return with their lights on and the gulls fall silent one after another"
)
WORDS = TEXT.split()
CODE = (
    "def settle(rows, *, limit):",
    "    seen = set()",
    "    for row in rows:",
    "        if row.key in seen:",
    "            continue",
    "        seen.add(row.key)",
    "        yield replace(row, size=min(row.size, limit))",
    "",
    "class Worker(Process):",
    "    def run(self):",
    "        while not self.queue.empty():",
    "            self.handle(self.queue.get())",
)


def _page(lines: Sequence[str], *, size: int = 22, width: int = 1000, is_dark: bool = False) -> Image.Image:
    """Lines of print."""
    image = Image.new("L", (width, 60 + round(1.5 * size) * len(lines)), 30 if is_dark else 250)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    for number, line in enumerate(lines):
        pen.text((30, 30 + round(1.5 * size) * number), line, fill=230 if is_dark else 20, font=font)
    return image


def _paragraph(num_lines: int, *, per_line: int = 9) -> list[str]:
    words = WORDS * (1 + num_lines * per_line // len(WORDS))
    return [" ".join(words[per_line * line : per_line * (line + 1)]) for line in range(num_lines)]


def _columns() -> Image.Image:
    """A page in two columns."""
    page = Image.new("L", (1000, 1300), 245)
    for left in (20, 510):
        page.paste(_page(_paragraph(36, per_line=6), size=20, width=470), (left, 60))
    return page


def _table() -> Image.Image:
    """A table with rules and numbers of many digits."""
    image = Image.new("L", (900, 620), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(20)
    for row in range(13):
        pen.line((20, 40 + 44 * row, 880, 40 + 44 * row), fill=90, width=2)
        for column in range(6 if row < 12 else 0):
            pen.text((34 + 142 * column, 50 + 44 * row), f"{(row * 7919 + column * 104_729) % 90_007:05}", 20, font)
    return image


def _bars() -> Image.Image:
    """A bar chart with words at its axes."""
    image = Image.new("L", (900, 600), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(18)
    for number in range(12):
        height = 60 + (number * 97) % 380
        pen.rectangle((80 + 65 * number, 520 - height, 120 + 65 * number, 520), fill=60 + 12 * number)
        pen.text((78 + 65 * number, 530), WORDS[number][:6], 20, font)
    pen.line((60, 520, 880, 520), fill=0, width=3)
    return image


def _calendar() -> Image.Image:
    """A month as a grid of days."""
    image = Image.new("L", (840, 700), 255)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(28)
    for day in range(31):
        left, top = 20 + 115 * (day % 7), 60 + 120 * (day // 7)
        pen.rectangle((left, top, left + 115, top + 120), outline=120, width=2)
        pen.text((left + 40, top + 40), str(day + 1), 20, font)
    return image


def _landscape() -> Image.Image:
    """Something like a photograph: hills, a sky, noise."""
    rows, columns = np.mgrid[0:600, 0:900].astype(np.float64)
    hills = sum(np.sin(columns / wave + wave) * wave / 3 for wave in (31, 77, 160))
    light = np.where(rows > 330 + hills, 90 + 40 * np.sin(rows / 9) * np.sin(columns / 13), 210 - rows / 8)
    return _image(light + np.random.default_rng(1).normal(0, 9, rows.shape))


def _scribble() -> Image.Image:
    """A pen that was tried out."""
    turn = np.linspace(0, 90, 3000)
    x, y = 500 + 5 * turn * np.cos(turn * 1.7), 350 + 3.4 * turn * np.sin(turn * 2.3)
    image = Image.new("L", (1000, 700), 245)
    ImageDraw.Draw(image).line(list(zip(x.tolist(), y.tolist(), strict=True)), fill=20, width=4)
    return image


def _maze() -> Image.Image:
    """A pattern of walls."""
    cells = np.random.default_rng(2).random((24, 36)) < 0.5
    image = Image.new("L", (36 * 25, 24 * 25), 255)
    pen = ImageDraw.Draw(image)
    for (row, column), is_down in np.ndenumerate(cells):
        left, top = 25 * column, 25 * row
        pen.line((left, top, left + (0 if is_down else 25), top + (25 if is_down else 0)), fill=10, width=3)
    return image


def _stars() -> Image.Image:
    """A night sky."""
    random = np.random.default_rng(3)
    light = random.normal(12, 3, (600, 900))
    for row, column in random.integers(5, 590, (300, 2)):
        light[row : row + 3, column : column + 3] = 240
    return _image(light)


def _image(light: np.ndarray) -> Image.Image:
    return Image.fromarray(light.clip(0, 255).round().astype(np.uint8))


NO_FORMULAS: Mapping[str, Callable[[], Image.Image]] = {
    "page of print": partial(_page, _paragraph(24)),
    "page in two columns": _columns,
    "two lines of print": partial(_page, _paragraph(2)),
    "large print": partial(_page, _paragraph(8, per_line=4), size=48),
    "code": partial(_page, CODE, size=24, width=800),
    "code, light on dark": partial(_page, CODE, size=24, width=800, is_dark=True),
    "table of numbers": _table,
    "bar chart": _bars,
    "calendar": _calendar,
    "landscape": _landscape,
    "scribble": _scribble,
    "maze": _maze,
    "stars": _stars,
}
