"""The ``report`` stage: writes one self-contained HTML file to read, send and print."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
from latexify.eval.report.previous_run import find_previous_run
from latexify.shards.format.index import open_split
from latexify.shards.reading.reader import SampleReader

MAX_BYTES = 5_000_000  # maximum size of the file: small enough for mail and phones
MAX_GALLERY_BYTES = 4_000_000


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

    Raises:
        LatexifyError: If predictions, shards, model and score do not belong together.
    """
    inputs = read_inputs(predictions, shards=shards, model=model, plots=plots, metrics_folder=metrics_folder)
    previous = find_previous_run(
        metrics_folder, params_path=params_path, revision=params.compare_with, score=inputs.score, stages=COUNTED_STAGES
    )
    typesetter, templates = Typesetter(), environment()
    gallery = _gallery(inputs, params, seed=seed, shards=shards, typesetter=typesetter, templates=templates)
    glyphs = typesetter.glyphs()
    html = render(
        inputs, templates=templates, previous=previous, gallery=gallery, glyphs=glyphs, parameters=parameters
    ).encode()
    if len(html) > MAX_BYTES:
        raise LatexifyError(
            f"the report would have {len(html):,} bytes, more than {MAX_BYTES:,}: lower report.num_samples in "
            f"{params_path}"
        )
    write_atomically(out / REPORT_NAME, html)
    return out / REPORT_NAME


def _gallery(  # noqa: PLR0913  # all are named
    inputs: ReportInputs,
    params: ReportParams,
    *,
    seed: int,
    shards: Location,
    typesetter: Typesetter,
    templates: Environment,
) -> list[GalleryItem[Card]]:
    """The gallery's samples, with pictures read from the shards."""
    index = open_split(shards, inputs.split)
    row_of = {key: row for row, key in enumerate(index.keys.to_pylist())}
    records = inputs.rows.to_pylist()
    pairs = confusions_shown(inputs)
    order = gallery_order([_candidate(record) for record in records], seed=seed)
    num_glyph_bytes = 0
    with SampleReader(index) as reader:

        def make(row: int) -> Card:
            pixels = reader.read([row_of[records[row]["key"]]])[0].pixels
            return make_card(records[row], pixels, typesetter=typesetter, confusions=pairs)

        def size_of(card: Card) -> int:
            """Size that a further card adds to the page: the card, and glyphs that no card before it used."""
            nonlocal num_glyph_bytes
            before, num_glyph_bytes = num_glyph_bytes, len(typesetter.glyphs())
            return card_bytes(card, templates=templates) + num_glyph_bytes - before

        items = fill_gallery(
            order, make=make, size_of=size_of, num_samples=params.num_samples, max_bytes=MAX_GALLERY_BYTES
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
