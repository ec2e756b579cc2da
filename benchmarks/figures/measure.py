"""Measurement of the shipped model on a test set of InkML: constrained or not, greedy, with beams, with drawings."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import safe_open

from benchmarks.machine import describe
from latexify.artifacts.names import WEIGHTS_NAME
from latexify.common.errors import LatexifyError
from latexify.common.package_data import default_model
from latexify.common.progress import Progress
from latexify.eval.compare.columns import Pairs
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.edits import Edits, count_edits
from latexify.eval.metrics.reliability import calibration_error, reliability
from latexify.eval.metrics.visual import VisualScorer, measure_appearance
from latexify.eval.predict.calibration import Calibration, Line, confidence_of, read_calibration
from latexify.eval.score.summary import System, summarize
from latexify.eval.score.tables import build_tables
from latexify.params import Params
from latexify.pipeline.config import IngestParams, InkmlParams
from latexify.pipeline.drawing.draw import Canvas, draw_ink
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inputs.inputs import is_inkml_name
from latexify.pipeline.latex import normalize
from latexify.shards.reading.plan import batches_by_size
from latexify.trainer.inference.constraint import Constraint
from latexify.trainer.inference.model import TrainedModel
from latexify.trainer.inference.open import open_model
from latexify.trainer.inference.search import Hypothesis
from latexify.trainer.inference.well_formed import constraint_for

MAX_TOKENS = 256
BATCH_SIZE = 64
BEAMS = 3
DRAWINGS = 7
CONFUSIONS_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How answers are searched for."""

    is_constrained: bool
    num_beams: int
    num_drawings: int = 1


DECODINGS = {
    "constrained, greedy": Decoding(is_constrained=True, num_beams=1),
    f"constrained, {BEAMS} beams": Decoding(is_constrained=True, num_beams=BEAMS),
    f"constrained, {BEAMS} beams, {DRAWINGS} drawings": Decoding(
        is_constrained=True, num_beams=BEAMS, num_drawings=DRAWINGS
    ),
    "unconstrained, greedy": Decoding(is_constrained=False, num_beams=1),
    f"unconstrained, {BEAMS} beams": Decoding(is_constrained=False, num_beams=BEAMS),
}
"""By name. The first is what the commands do by default."""


@dataclass(frozen=True, kw_only=True)
class TestInks:
    """Pictures, uint8 [height, width] of the canvas, or narrower, see `Canvas`; and their normalised labels."""

    pictures: Sequence[npt.NDArray[np.uint8]]
    references: Sequence[str]


def measure(archive: Path) -> dict[str, Any]:
    """Recognise every ink of `archive` with the shipped model in every way, and score the results.

    Returns:
        JSON values: `model`, `test_set`, `measured` (date, commit and machine), `decodings` (the figures of
        ``latexify score``, by decoding), and `slices` (tables of the default decoding).
    """
    folder = default_model()
    model = open_model(folder)
    inks = load_inks(archive, model)
    calibration = read_calibration(folder, fingerprint=model.manifest.fingerprint)
    scorer = VisualScorer()
    decodings: dict[str, Any] = {}
    slices: dict[str, Any] = {}
    for name, decoding in DECODINGS.items():
        constraint = constraint_for(folder) if decoding.is_constrained else None
        hypotheses = _recognize(model, inks.pictures, name=name, decoding=decoding, constraint=constraint)
        predictions = [normalize(text) for text in model.texts([hypothesis.ids for hypothesis in hypotheses])]
        edits = count_edits(inks.references, predictions)
        params, seed = ScoreParams(), Params().seed
        resampling: dict[str, Any] = {"num_resamples": params.bootstrap_samples, "seed": seed}
        appearance = measure_appearance(inks.references, predictions, scorer=scorer)
        pairs = Pairs(references=list(inks.references), predictions=predictions, keys=None)
        system = System(name=name, pairs=pairs, edits=edits, appearance=appearance)
        decodings[name] = {
            **asdict(decoding),
            **summarize(system, **resampling),
            "num_unfinished": sum(not hypothesis.finished for hypothesis in hypotheses),
            "calibration": {
                "ece": _calibration_error(hypotheses, edits, _line(calibration, decoding)),
                "error_raw": calibration_error(
                    reliability([hypothesis.confidence for hypothesis in hypotheses], edits.symbol_errors == 0)
                ),
            },
        }
        slices = slices or _slices(system, resampling)
    machine = describe()
    results: dict[str, Any] = _rounded(
        {
            "model": {
                "name": folder.name,
                "fingerprint": model.manifest.fingerprint,
                "num_parameters": count_parameters(folder / WEIGHTS_NAME),
            },
            "test_set": {"name": "CROHME 2014 test", "num_inks": len(inks.references)},
            "measured": {name: machine[name] for name in ("date", "commit", "cpu", "cpus")},
            "decodings": decodings,
            "slices": slices,
        }
    )
    return results


def count_parameters(weights: Path) -> int:
    """Count the numbers in a file of weights; tied ones are stored once."""
    with safe_open(weights, "np") as file:
        return sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping


def load_inks(archive: Path, model: TrainedModel) -> TestInks:
    """Read the inks of an archive in the order of their names, drawn on the model's canvas."""
    geometry, limits, names = model.geometry, IngestParams(), InkmlParams().label_annotations
    canvas = Canvas(**geometry.to_dict())
    inks = []
    for member in iter_members(archive, max_bytes=limits.max_file_bytes):
        if is_inkml_name(member.name) and member.data is not None:
            ink = parse_inkml(member.data, max_file_bytes=limits.max_file_bytes, max_points=limits.max_points)
            label = next((ink.annotations[name] for name in names if name in ink.annotations), None)
            if label is None:
                raise LatexifyError(f"{archive}: {member.name} has no label (annotations {', '.join(names)})")
            inks.append((member.name, draw_ink(ink.strokes, canvas), normalize(label)))
    inks.sort(key=lambda ink: ink[0])
    if not inks:
        raise LatexifyError(f"{archive} contains no InkML files")
    return TestInks(pictures=[ink[1] for ink in inks], references=[ink[2] for ink in inks])


def _recognize(
    model: TrainedModel,
    pictures: Sequence[npt.NDArray[np.uint8]],
    *,
    name: str,
    decoding: Decoding,
    constraint: Constraint | None,
) -> list[Hypothesis]:
    """The best hypothesis for each picture. Those with much ink, which take longest, share batches."""
    order = np.argsort([-np.count_nonzero(picture < 128) for picture in pictures], kind="stable")
    sizes_px = np.array([picture.shape for picture in pictures], dtype=np.int32)
    hypotheses: dict[int, Hypothesis] = {}
    with Progress(name, total=len(pictures), unit="inks") as progress:
        for rows in batches_by_size(order, sizes_px, size=BATCH_SIZE):
            batch = rows.tolist()
            pixels = np.stack([pictures[i] for i in batch])
            results = model.inference.generate(
                pixels,
                max_tokens=MAX_TOKENS,
                num_beams=decoding.num_beams,
                num_drawings=decoding.num_drawings,
                constraint=constraint,
            )
            hypotheses |= {i: best for i, (best, *_) in zip(batch, results, strict=True)}
            progress.advance(len(batch))
    return [hypotheses[i] for i in range(len(pictures))]


def _line(calibration: Calibration | None, decoding: Decoding) -> Line | None:
    if calibration is None:
        return None
    return calibration.line(num_beams=decoding.num_beams, num_drawings=decoding.num_drawings)


def _calibration_error(hypotheses: Sequence[Hypothesis], edits: Edits, line: Line | None) -> float:
    confidences = [
        confidence_of(hypothesis.confidence, finished=hypothesis.finished, line=line) for hypothesis in hypotheses
    ]
    return calibration_error(reliability(confidences, edits.symbol_errors == 0))


def _slices(system: System, resampling: Mapping[str, Any]) -> dict[str, Any]:
    """The tables that the documents show, of the default decoding."""
    tables = build_tables(system, **resampling)
    columns = ("num_samples", "cer", "exact_match")
    groups = {
        name: [{"name": row[name], **{column: row[column] for column in columns}} for row in tables[table]]
        for name, table in (("symbols", "error_by_length"), ("structure", "error_by_structure"))
    }
    confusions = [row for row in tables["confusions"] if not {row["reference"], row["prediction"]} & {"{", "}"}]
    return {**groups, "confusions": confusions[:CONFUSIONS_SHOWN]}


def _rounded(value: Any) -> Any:
    """Floats with six decimals: more would only record rounding differences between machines."""
    match value:
        case dict():
            return {name: _rounded(item) for name, item in value.items()}
        case list():
            return [_rounded(item) for item in value]
        case float():
            return round(value, 6)
    return value
