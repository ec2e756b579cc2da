"""The sound InkML that is then damaged: CROHME's where it is at hand, synthetic ink, and one file for each feature."""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

from latexify.pipeline.config import SyntheticParams
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.synthesis.dataset import plan, write_inks

NUM_SYNTHETIC = 40
REAL_STRIDE = 24
"""Every so many of CROHME's training files: 368, from all six of its folders."""

_FEATURES = (
    # CROHME: x y, newlines around points, MathML, nested groups, ids that are no NCName, CRLF
    (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n<ink xmlns="http://www.w3.org/2003/InkML">\r\n<traceFormat>'
        '<channel name="X" type="decimal"/><channel name="Y" type="decimal"/></traceFormat>'
        '<annotation type="UI">2011_IVC_1</annotation><annotation type="writer">w1</annotation>'
        '<annotation type="truth">$\\frac{a}{b}^{2}_{1}$</annotation>'
        '<annotationXML type="truth"><math xmlns="http://www.w3.org/1998/Math/MathML"><mn xml:id="3_1">3</mn></math>'
        '</annotationXML>\r\n<trace id="0">\r\n1.5 -2, 3 4, 9.25 1e1\r\n</trace><trace id="1">\r\n5 6\r\n</trace>'
        '<traceGroup xml:id="2"><annotation type="truth">a</annotation><traceView traceDataRef="0"/></traceGroup></ink>'
    ),
    # MathWriting: x y t without spaces behind the commas
    (
        '<ink xmlns="http://www.w3.org/2003/InkML"><annotation type="label">\\sqrt{x}</annotation>'
        '<annotation type="normalizedLabel">\\sqrt{x}</annotation>'
        '<annotation type="splitTagOriginal">train</annotation>'
        '<traceFormat><channel name="X" type="decimal"/><channel name="Y" type="decimal"/>'
        '<channel name="T"/></traceFormat>'
        '<trace id="0">100.5 20 0,101 22.5 10,140.25 60 23</trace><trace id="1">7 8 40,9 10 50</trace></ink>'
    ),
    # a prefix, definitions, CDATA, comments, a processing instruction, time before x and y, a lifted pen
    (
        '<?xml version="1.0"?><!-- pen --><n:ink xmlns:n="http://www.w3.org/2003/InkML"><n:definitions>'
        '<n:trace xml:id="d">9 9 9</n:trace></n:definitions><?pen raw?><n:annotation type="truth">'
        "<![CDATA[a < b & c]]></n:annotation><n:traceFormat><n:channel name='T'/><n:channel name='X'/>"
        "<n:channel name='Y'/>"
        '</n:traceFormat><n:traceGroup><n:trace>0 1 2,<!-- gap -->1 3 4</n:trace><n:trace type="penUp">2 5 5</n:trace>'
        "</n:traceGroup><n:trace><![CDATA[3 6 7, 4 8 8]]></n:trace></n:ink>"
    ),
    # no namespace, non-ASCII text, entities of XML itself, a doctype that declares nothing
    (
        '<!DOCTYPE ink><ink><annotation type="writer">\uc218\uc2dd</annotation><annotation type="truth">x &lt; \u03b1'
        "\u2264 &#x3b2; &amp; y</annotation><trace>1 1, 2 2 ,3 3,</trace><trace> </trace><trace>-1e-3 +4.</trace></ink>"
    ),
)


def sound_inks(real: Path | None = None) -> list[bytes]:
    """InkML documents that all parse, in an order that never changes. real: folder of `LATEXIFY_REAL_DATA`."""
    found = [text.encode() for text in _FEATURES] + _synthetic_inks()
    return found if real is None else found + list(_real_inks(real / "crohme" / "train.tar.xz"))


def real_data() -> Path | None:
    """Folder of real data, where the machine has one."""
    folder = os.environ.get("LATEXIFY_REAL_DATA")
    return Path(folder) if folder else None


def _synthetic_inks() -> list[bytes]:
    params = SyntheticParams(num_train=NUM_SYNTHETIC, num_writers=10)
    return [data for task in plan(params, "train") for _, data in write_inks(task, params, seed=7)]


def _real_inks(archive: Path) -> Sequence[bytes]:
    members = itertools.islice(iter_members(archive, max_bytes=200_000), 0, None, REAL_STRIDE)
    return [member.data for member in members if member.data]
