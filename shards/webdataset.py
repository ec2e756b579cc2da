"""Shards as a `webdataset` pipeline."""

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from latexify.artifacts.location import Location, is_local, location_of
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.shards.format.index import open_split
from latexify.shards.format.png import decode_png
from latexify.shards.format.sample import IDS_SUFFIX, JSON_SUFFIX, PNG_SUFFIX

if TYPE_CHECKING:
    import webdataset


def open_shards(folder: Location | str, split: str, *, shuffle: int = 0, **options: Any) -> "webdataset.WebDataset":
    """Open one split of a shard folder (a path, or an ``https://`` URL) as a `webdataset` pipeline of decoded samples.

    Each sample is a dict of ``__key__`` and ``__url__`` (text), ``pixels`` (uint8 [height, width], 0 = ink, 255 =
    paper), ``token_ids`` (int32 [num_tokens], the end id last, no start id) and ``json`` (docs/reference/shards.md),
    so that for example ``open_shards("data/shards", "train", shuffle=1000).to_tuple("pixels", "token_ids")`` is ready
    to train from. The order, which is that of the tars, does not follow `latexify.shards.reading.plan`. With `shuffle`,
    the order of the shards is shuffled, and so many samples among each other. Other `options`, such as `nodesplitter`
    or `seed`, are those of `webdataset.WebDataset`.

    Raises:
        LatexifyError: If `webdataset` is not installed, or the folder or the split is missing or incomplete; while
            iterating, if a sample is damaged.
    """
    try:
        import webdataset  # noqa: PLC0415  # not a dependency of the project
    except ModuleNotFoundError:
        raise LatexifyError("open_shards needs the package webdataset: run `pip install webdataset`") from None
    location = location_of(folder) if isinstance(folder, str) else folder
    if not is_local(location) and location.protocol not in {"http", "https"}:
        raise LatexifyError(
            f"webdataset cannot open {location}: copy the shards to this machine, or use "
            "latexify.shards.reading.reader.SampleReader, which reads object stores"
        )
    urls = [str(location / name) for name in open_split(location, split).shards]
    options = {"shardshuffle": len(urls) if shuffle else False, **options}
    pipeline = webdataset.WebDataset(urls, **options)
    if shuffle:
        pipeline = pipeline.shuffle(shuffle)
    return pipeline.map(decode)


def decode(sample: dict[str, Any]) -> dict[str, Any]:
    """Decode one sample as `webdataset` reads it from a tar. Raises LatexifyError if it is damaged."""
    key, url = sample["__key__"], sample["__url__"]
    try:
        return {
            "__key__": key,
            "__url__": url,
            "pixels": decode_png(sample[PNG_SUFFIX.removeprefix(".")]),
            "token_ids": np.load(io.BytesIO(sample[IDS_SUFFIX.removeprefix(".")]), allow_pickle=False),
            "json": json.loads(sample[JSON_SUFFIX.removeprefix(".")]),
        }
    except (KeyError, ValueError, EOFError) as error:
        raise LatexifyError(f"{url}: sample {key} cannot be read ({error}): run `{SHARDS.producer}` again") from None
