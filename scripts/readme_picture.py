"""Draw README's picture, ink → LaTeX → typeset: `python -m scripts.readme_picture INK.inkml`.

The LaTeX is what the shipped model returns for the ink.
"""

import argparse
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from latexify.common.package_data import MODELS
from latexify.eval.metrics.typeset import typeset
from latexify.pipeline.config import IngestParams
from latexify.pipeline.inkml.document import parse_inkml
from latexify.serve.recognizer import Recognizer

REPOSITORY = Path(__file__).resolve().parent.parent
WIDTH_PX, HEIGHT_PX, GAP_PX = 980, 150, 20
PANEL_PX = (WIDTH_PX - 2 * GAP_PX) // 3
SVG = "http://www.w3.org/2000/svg"


def panel(root: ET.Element, number: int, title: str) -> ET.Element:
    """Add one of the three boxes, white also on a dark page."""
    box = ET.SubElement(root, "g", {"transform": f"translate({number * (PANEL_PX + GAP_PX)} 0)"})
    size = {"width": str(PANEL_PX), "height": str(HEIGHT_PX), "rx": "10"}
    ET.SubElement(box, "rect", {**size, "fill": "#fff", "stroke": "#ccc"})
    text = {"x": "14", "y": "22", "font-family": "sans-serif", "font-size": "12", "fill": "#777"}
    ET.SubElement(box, "text", text).text = title
    return box


def add_ink(box: ET.Element, strokes: list[np.ndarray]) -> None:
    """Draw strokes into a box, as large as it allows."""
    points = np.concatenate(strokes)
    low, extent = points.min(axis=0), np.ptp(points, axis=0)
    scale = min((PANEL_PX - 40) / extent[0], (HEIGHT_PX - 60) / extent[1])
    offset = np.array([PANEL_PX, HEIGHT_PX + 20]) / 2 - scale * (low + extent / 2)
    pen = {
        "fill": "none",
        "stroke": "#123",
        "stroke-width": "2.2",
        "stroke-linecap": "round",
        "stroke-linejoin": "round",
    }
    for stroke in strokes:
        placed = scale * stroke + offset
        course = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        ET.SubElement(box, "polyline", {"points": course, **pen})


def add_formula(box: ET.Element, latex: str) -> None:
    """Typeset a formula in the middle of a box."""
    drawing = typeset(latex).svgxml()
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    scale = min((PANEL_PX - 40) / width, (HEIGHT_PX - 60) / height, 1.6)
    left, top = (PANEL_PX - scale * width) / 2, (HEIGHT_PX + 20 - scale * height) / 2
    drawing.attrib |= {
        "x": f"{left:.1f}",
        "y": f"{top:.1f}",
        "width": f"{scale * width:.1f}",
        "height": f"{scale * height:.1f}",
    }
    box.append(drawing)


def main() -> None:
    """Recognise the ink and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ink", type=Path, help="An InkML file.")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/images/ink-to-latex.svg")
    arguments = parser.parse_args()
    data = arguments.ink.read_bytes()
    recognizer = Recognizer(MODELS / "crohme-small")
    [recognition] = recognizer.read([recognizer.picture_of(data)], num_beams=3)
    limits = IngestParams()
    parsed = parse_inkml(data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points)
    root = ET.Element("svg", {"xmlns": SVG, "viewBox": f"0 0 {WIDTH_PX} {HEIGHT_PX}", "width": str(WIDTH_PX)})
    add_ink(panel(root, 0, "handwriting"), [np.asarray(stroke, np.float64) for stroke in parsed.strokes])
    middle = panel(root, 1, "LaTeX")
    size = min(17.0, (PANEL_PX - 28) / (0.61 * len(recognition.latex)))
    text = {
        "x": "14",
        "y": str(HEIGHT_PX // 2 + 14),
        "font-family": "monospace",
        "font-size": f"{size:.1f}",
        "fill": "#123",
    }
    ET.SubElement(middle, "text", text).text = recognition.latex
    add_formula(panel(root, 2, "typeset"), recognition.latex)
    arguments.out.write_text(ET.tostring(root, encoding="unicode") + "\n", encoding="utf-8")
    print(recognition.latex, f"{recognition.confidence:.2f}")


if __name__ == "__main__":
    main()
