"""The ``report`` stage: writes one self-contained HTML file to read, send and print."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from jinja2 import Environment

from latexify.artifacts.files import write_atomically
from latexify.artifacts.location import Location
from latexify.artifacts.names import REPORT_NAME
from latexify.common.errors import LatexifyError
from latexify.eval.config import ReportParams
from latexify.eval.metrics.slices import length_of
from latexify.eval.metrics.typeset import Typesetter
from latexify.eval.report.cards import Card, make_card
from latexify.eval.report.gallery import GalleryCandidate, GalleryItem, fill_gallery, gallery_order
from latexify.eval.report.inputs import COUNTED_STAGES, ReportInputs, read_inputs
from latexify.eval.report.page import card_bytes, confusions_shown, environment, render
from latexify.eval.report.previous_run import NoPreviousRun, PreviousRun, find_previous_run
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader

MAX_BYTES = 5_000_000  # maximum size of the file: small enough for mail and phones
MAX_GALLERY_BYTES = 4_000_000

Pixels = npt.NDArray[np.uint8]


def run(  # noqa: PLR0913  # the stage's contract
    params: ReportParams,
    *,
    seed: int,
    predictions: Path,
    shards: Location,
    model: Path,
    plots: Path,
    metrics_folder: Path,
    params_path: Path,
    parameters: Mapping[str, Any],
    out: Path,
    is_named: bool = False,
    jobs: int = 1,
) -> Path:
    """Write `out`/report.html, of at most MAX_BYTES bytes, and return its path.

    Args:
        params: The section ``report`` of params.yaml.
        seed: Random seed that chooses the random part of the gallery.
        predictions: Folder of ``latexify predict``.
        shards: Shards that the predictions were made from.
        model: Folder of the model that made them.
        plots: Tables of ``latexify score``.
        metrics_folder: Folder of the stages' JSON files.
        params_path: The parameter file, whose earlier versions are read from git.
        parameters: All current parameters, to be shown.
        out: Folder to write to.
        is_named: Whether the user named the model, so that it has no training here to report.
        jobs: Processes that typeset formulas. The page does not depend on it.

    Raises:
        LatexifyError: If predictions, shards, model and score do not belong together.
    """
    inputs = read_inputs(
        predictions, shards=shards, model=model, plots=plots, metrics_folder=metrics_folder, is_named=is_named
    )
    previous = find_previous_run(
        metrics_folder, params_path=params_path, revision=params.compare_with, score=inputs.score, stages=COUNTED_STAGES
    )
    index = open_split(shards, inputs.split)
    row_of = {key: row for row, key in enumerate(index.keys.to_pylist())}
    with SampleReader(index) as reader:
        html = build_page(
            inputs,
            params,
            seed=seed,
            pixels_of=lambda key: reader.read([row_of[key]])[0].pixels,
            previous=previous,
            parameters=parameters,
            jobs=jobs,
        )
    write_atomically(out / REPORT_NAME, html)
    return out / REPORT_NAME


def build_page(  # noqa: PLR0913  # all but two are named
    inputs: ReportInputs,
    params: ReportParams,
    *,
    seed: int,
    pixels_of: Callable[[str], Pixels],
    previous: PreviousRun | NoPreviousRun,
    parameters: Mapping[str, Any],
    jobs: int,
) -> bytes:
    """Build the page, of at most MAX_BYTES bytes.

    Args:
        inputs: What it shows.
        params: The section ``report`` of params.yaml.
        seed: Random seed that chooses the random part of the gallery.
        pixels_of: Returns the picture of the sample with a key, uint8 [height, width].
        previous: The run to compare with.
        parameters: All parameters, to be shown.
        jobs: Processes that typeset formulas. The page does not depend on it.

    Raises:
        LatexifyError: If the page would be larger.
    """
    typesetter, templates = Typesetter(), environment()
    gallery = _gallery(
        inputs, params, seed=seed, pixels_of=pixels_of, typesetter=typesetter, templates=templates, jobs=jobs
    )
    html = render(
        inputs,
        templates=templates,
        previous=previous,
        gallery=gallery,
        glyphs=typesetter.glyphs(),
        parameters=parameters,
    ).encode()
    if len(html) > MAX_BYTES:
        raise LatexifyError(
            f"the report would have {len(html):,} bytes, more than {MAX_BYTES:,}: lower report.num_samples"
        )
    return html


def _gallery(  # noqa: PLR0913  # all are named
    inputs: ReportInputs,
    params: ReportParams,
    *,
    seed: int,
    pixels_of: Callable[[str], Pixels],
    typesetter: Typesetter,
    templates: Environment,
    jobs: int,
) -> list[GalleryItem[Card]]:
    """The gallery's samples."""
    records = inputs.rows.to_pylist()
    pairs = confusions_shown(inputs)
    order = list(gallery_order([_candidate(record) for record in records], seed=seed))
    first = [records[row] for row in list(dict.fromkeys(row for _, row in order))[: params.num_samples]]
    typesetter.prepare([record[name] for record in first for name in ("reference", "prediction")], jobs=jobs)
    num_glyph_bytes = 0

    def make(row: int) -> Card:
        record = records[row]
        return make_card(record, pixels_of(record["key"]), typesetter=typesetter, confusions=pairs)

    def size_of(card: Card) -> int:
        """Size that a further card adds to the page: the card, and glyphs that no card before it used."""
        nonlocal num_glyph_bytes
        before, num_glyph_bytes = num_glyph_bytes, typesetter.num_glyph_bytes
        return card_bytes(card, templates=templates) + num_glyph_bytes - before

    items = fill_gallery(
        iter(order), make=make, size_of=size_of, num_samples=params.num_samples, max_bytes=MAX_GALLERY_BYTES
    )
    return list(items.values())


def _candidate(record: Mapping[str, Any]) -> GalleryCandidate:
    return GalleryCandidate(
        key=record["key"],
        num_errors=record["symbol_errors"],
        error_rate=record["char_errors"] / max(record["num_chars"], 1),
        confidence=record["confidence"],
        classes=(*record["structures"], length_of(record["num_symbols"]), record["source"]),
    )
