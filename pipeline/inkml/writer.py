"""Write InkML as MathWriting does (github.com/google-research/google-research/tree/master/mathwriting)."""

from xml.sax.saxutils import escape

import numpy as np

from latexify.pipeline.synthesis.fonts.pen import Trace


def inkml(traces: list[Trace], *, label: str, split: str, sample_id: str, writer: str) -> bytes:
    """Return an InkML document in UTF-8: annotations, trace format, and a trace per stroke (`x y t` in px and ms)."""
    annotations = {
        "label": label,
        "splitTagOriginal": split,
        "sampleId": sample_id,
        "normalizedLabel": label,
        "inkCreationMethod": "synthetic",
        "labelCreationMethod": "synthetic",
        "writer": writer,
    }
    lines = ['<ink xmlns="http://www.w3.org/2003/InkML">']
    lines += [f'  <annotation type="{name}">{escape(value)}</annotation>' for name, value in annotations.items()]
    lines.append("  <traceFormat>")
    lines += [f'    <channel name="{name}" type="decimal"/>' for name in ("X", "Y", "T")]
    lines.append("  </traceFormat>")
    lines += [f'  <trace id="{number}">{_trace_text(trace)}</trace>' for number, trace in enumerate(traces)]
    lines.append("</ink>\n")
    return "\n".join(lines).encode()


def _trace_text(trace: Trace) -> str:
    values = np.column_stack([trace.points_px, trace.times_ms]).ravel()
    # Formatting all points at once is several times faster than one by one.
    return ",".join(["%.2f %.2f %d"] * len(trace.times_ms)) % tuple(values.tolist())
