"""A contact sheet: pictures in a grid, each with a frame and its caption below."""

import io
import math
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.inspect.entry import Entry, Picture
from latexify.pipeline.inspect.summary import fault_of, sizes_of
from latexify.pipeline.latex import tokenize

PICTURE_WIDTH_PX = 320
MAX_PICTURE_HEIGHT_PX = 320
GAP_PX = 14
LINE_PX = 16
MAX_LABEL_LINES = 3
MAX_SIDE_PX = 16_000  # many viewers cannot open larger pictures
# on which inks are drawn; samples have pictures already
INK_CANVAS = Canvas(height_px=160, width_px=PICTURE_WIDTH_PX, margin_px=10, pen_width_px=2)

_PAPER, _FRAME, _LABEL, _NUMBERS, _KEY, _FAULT = "#ffffff", "#c8c8c8", "#101010", "#606060", "#3060a0", "#b02020"
_BACKGROUND = "#f4f4f4"
_TITLE_PX, _TEXT_PX, _SMALL_PX = 15, 13, 12


@cache
def _font(size_px: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size_px)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """A picture at its displayed size, and the lines below it: text, font and colour."""

    image: Image.Image | None
    lines: list[tuple[str, ImageFont.FreeTypeFont, str]]


def draw_sheet(entries: Sequence[Entry], pictures: Sequence[Picture | None], *, title: str) -> bytes:
    """Draw a sheet of the entries as a PNG, row by row. pictures: one for each entry; None if it has none."""
    cells = [_cell(entry, picture) for entry, picture in zip(entries, pictures, strict=True)]
    picture_px = max([40, *(cell.image.height for cell in cells if cell.image is not None)])
    num_columns = _num_columns(len(cells), height_px=picture_px + 4 * LINE_PX)
    rows = [cells[start : start + num_columns] for start in range(0, len(cells), num_columns)]
    heights = [picture_px + GAP_PX + max(len(cell.lines) for cell in row) * LINE_PX + GAP_PX for row in rows]
    width_px = GAP_PX + num_columns * (PICTURE_WIDTH_PX + GAP_PX)
    top = 2 * GAP_PX + LINE_PX
    sheet = Image.new("RGB", (width_px, top + sum(heights)), _BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    font = _font(_TITLE_PX)
    pen.text((GAP_PX, GAP_PX), _shortened(title, font, width_px - 2 * GAP_PX), fill=_LABEL, font=font)
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            left = GAP_PX + column * (PICTURE_WIDTH_PX + GAP_PX)
            _draw_cell(sheet, pen, cell, left=left, top=top, picture_px=picture_px)
        top += height
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _num_columns(count: int, *, height_px: int) -> int:
    """Number of columns for about the aspect ratio of a screen, within the height that viewers can open."""
    wide = math.sqrt(count * 1.3 * height_px / PICTURE_WIDTH_PX)
    needed = math.ceil(count * (height_px + 3 * GAP_PX) / MAX_SIDE_PX)
    return max(1, min(count, round(wide)), needed)


def _cell(entry: Entry, picture: Picture | None) -> _Cell:
    lines, text, small = [], _font(_TEXT_PX), _font(_SMALL_PX)
    if entry.label is not None:
        lines += [(line, text, _LABEL) for line in _wrapped(tokenize(entry.label), text)]
    if (fault := fault_of(entry)) is not None:
        lines += [(line, small, _FAULT) for line in _wrapped(re.findall(r"\S+\s*", fault), small)]
    if numbers := " · ".join([*filter(None, [entry.split]), *sizes_of(entry)]):
        lines.append((_shortened(numbers, small, PICTURE_WIDTH_PX), small, _NUMBERS))
    lines.append((_shortened(entry.key, small, PICTURE_WIDTH_PX), small, _KEY))
    return _Cell(image=_shown(picture) if picture is not None else None, lines=lines)


def _shown(picture: Picture) -> Image.Image:
    """The picture at the width of a cell. Small ones are enlarged by integers, so that pixels stay visible."""
    height, width = picture.shape
    room = min(PICTURE_WIDTH_PX / width, MAX_PICTURE_HEIGHT_PX / height)
    if room >= 1:
        return Image.fromarray(np.kron(picture, np.ones((int(room), int(room)), dtype=np.uint8)))
    size = (max(1, int(width * room)), max(1, int(height * room)))
    return Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)


def _draw_cell(  # noqa: PLR0913  # drawing target, content and position
    sheet: Image.Image, pen: ImageDraw.ImageDraw, cell: _Cell, *, left: int, top: int, picture_px: int
) -> None:
    frame = (left - 1, top - 1, left + PICTURE_WIDTH_PX, top + picture_px)  # outside the picture, so it hides no pixel
    pen.rectangle(frame, fill=_PAPER)
    if cell.image is not None:
        x = left + (PICTURE_WIDTH_PX - cell.image.width) // 2
        y = top + (picture_px - cell.image.height) // 2
        sheet.paste(cell.image, (x, y))
    pen.rectangle(frame, outline=_FRAME)
    for number, (text, font, colour) in enumerate(cell.lines):
        pen.text((left, top + picture_px + GAP_PX // 2 + number * LINE_PX), text, fill=colour, font=font)


def _wrapped(words: Sequence[str], font: ImageFont.FreeTypeFont) -> list[str]:
    """Join words to at most `MAX_LABEL_LINES` lines as wide as a picture; the rest becomes an ellipsis.

    A word is only cut if it is wider than a line.
    """
    lines = [""]
    for word in words:
        rest = word
        while font.getlength(lines[-1] + rest.rstrip()) > PICTURE_WIDTH_PX:
            length = _fitting(rest, font, PICTURE_WIDTH_PX) if not lines[-1] else 0
            lines[-1] += rest[:length]
            rest = rest[length:].lstrip()
            lines.append("")
        lines[-1] += rest
        if len(lines) > MAX_LABEL_LINES:
            last = lines[MAX_LABEL_LINES - 1]
            num_kept = _fitting(last, font, PICTURE_WIDTH_PX - font.getlength("…"))
            return [*lines[: MAX_LABEL_LINES - 1], last[:num_kept] + "…"]
    return lines


def _fitting(text: str, font: ImageFont.FreeTypeFont, width_px: float) -> int:
    """How many leading characters fit; at least one."""
    return max(1, bisect_right(range(1, len(text) + 1), width_px, key=lambda kept: font.getlength(text[:kept])))


def _shortened(text: str, font: ImageFont.FreeTypeFont, width_px: float) -> str:
    """The text in one line; if it is too long its middle is cut, because keys differ at their ends."""
    if font.getlength(text) <= width_px:
        return text
    lengths = range(1, len(text) + 1)
    kept = bisect_right(lengths, width_px, key=lambda count: font.getlength(_without_middle(text, count)))
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    head = kept // 2
    return f"{text[:head]}…{text[len(text) - (kept - head) :]}"
