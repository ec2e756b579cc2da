"""Inks that are prepared for workers: their memory."""

from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa

from latexify.pipeline.inks.schemas import INK_SCHEMA, TOKEN_IDS
from latexify.pipeline.rasterize.plan import find_rows
from latexify.pipeline.rasterize.prepare import append_inks, scratch_folder, with_pictures
from tests.support.rasterize_data import ink_row


def test_memory_does_not_grow_with_the_inks(tmp_path: Path) -> None:
    """Pages of the inks would add up until the main process holds all of them."""
    row = {**ink_row(1, "train", "ab"), "points": [1.0] * 4000, "stroke_lengths": [2000]}
    batch = with_pictures(pa.RecordBatch.from_pylist([row] * 500, schema=INK_SCHEMA))
    ids = pa.array([[1, 2, 3]] * len(batch), TOKEN_IDS)
    with scratch_folder(tmp_path) as folder, (folder / "inks").open("wb") as file:
        pieces = [append_inks(file, batch, ids, path=folder / "inks") for _ in range(16)]
        starts = np.arange(17) * 500
        rows = np.random.default_rng(1).permutation(8000).reshape(-1, 100)  # of 128 MB
        find_rows(rows[0], pieces=pieces, starts=starts).load()
        before = psutil.Process().memory_info().rss
        for some in rows:
            assert find_rows(some, pieces=pieces, starts=starts).load().num_rows == 100
        assert psutil.Process().memory_info().rss - before < 20e6
