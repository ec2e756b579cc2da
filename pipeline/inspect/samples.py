"""Collections of samples: a shard folder, or a single tar."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.common.errors import LatexifyError
from latexify.pipeline.drawing.draw import Canvas
from latexify.pipeline.inputs.archives import iter_members
from latexify.pipeline.inspect.entry import Entry, Picture
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.png import decode_png
from latexify.shards.format.sample import IDS_SUFFIX, JSON_SUFFIX, PNG_SUFFIX
from latexify.shards.reading.reader import SampleReader

# samples whose JSON is read, for strokes and extents; in larger folders a fixed random choice
MAX_DESCRIBED = 20_000
_MAX_MEMBER_BYTES = 1 << 26


class ShardCollection:
    """The samples of a shard folder."""

    def __init__(self, folder: Location) -> None:
        manifest = read_manifest(folder, SHARDS)
        splits = manifest.content["splits"]
        self._indexes = {split: open_split(folder, split) for split, entry in splits.items() if entry["num_samples"]}
        self._rows: dict[str, tuple[str, int]] = {}
        self.entries: list[Entry] = []
        num_samples = sum(len(index) for index in self._indexes.values())
        for split, index in self._indexes.items():
            self._add(split, index, share=min(MAX_DESCRIBED / num_samples, 1))
        num_shards = sum(len(index.shards) for index in self._indexes.values())
        canvas = f"{manifest.params['height_px']}x{manifest.params['width_px']} px"
        self.title = f"{folder}: {num_samples:,} samples of {canvas} in {num_shards:,} shards"
        if num_samples > MAX_DESCRIBED:
            self.title += f"; strokes and extents of {MAX_DESCRIBED:,} of them"

    def _add(self, split: str, index: SplitIndex, *, share: float) -> None:
        keys, labels = index.keys.to_pylist(), index.labels.to_pylist()
        with SampleReader(index) as reader:
            for row, (key, label) in enumerate(zip(keys, labels, strict=True)):
                self._rows[key] = (split, row)
                facts = _describe(reader, row) if _is_chosen(key, share) else {}
                if index.dataset_ids is not None:
                    facts["dataset"] = index.datasets[index.dataset_ids[row]]
                facts |= {"num_tokens": int(index.num_tokens[row]), "num_bytes": int(index.png_bytes[row])}
                self.entries.append(Entry(key=key, split=split, label=label, has_ids=True, **facts))

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:  # noqa: ARG002  # as stored
        """Return the stored pictures; None for a damaged one."""
        pictures: list[Picture | None] = [None] * len(entries)
        for number, entry in enumerate(entries):
            split, row = self._rows[entry.key]
            with SampleReader(self._indexes[split]) as reader, suppress(LatexifyError):
                pictures[number] = reader.read([row])[0].pixels
        return pictures


def _is_chosen(key: str, share: float) -> bool:
    return share >= 1 or int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) < share * 2**32


def _describe(reader: SampleReader, row: int) -> dict[str, Any]:
    """Fields of an entry that are only in the JSON, or its fault."""
    try:
        return _facts(reader.describe([row])[0])
    except LatexifyError as error:
        return {"reason": "damaged", "fault": str(error)}


def _facts(description: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "source": str(description.get("source", "")),
        "num_strokes": description.get("num_strokes"),
        "extent": _extent(description.get("extent")),
    }


def _extent(value: Any) -> tuple[float, float] | None:
    """Width and height, if `value` is a valid pair."""
    match value:
        case [int() | float() as width, int() | float() as height] if math.isfinite(width) and math.isfinite(height):
            return float(width), float(height)
    return None


class TarCollection:
    """The samples of one tar, without its folder."""

    def __init__(self, path: Path) -> None:
        self._pngs: dict[str, bytes] = {}
        jsons: dict[str, bytes] = {}
        num_ids: dict[str, int] = {}
        for member in iter_members(path, max_bytes=_MAX_MEMBER_BYTES):
            key, _, _ = member.name.partition(".")
            data = member.data or b""
            if member.name.endswith(PNG_SUFFIX):
                self._pngs[key] = data
            elif member.name.endswith(JSON_SUFFIX):
                jsons[key] = data
            elif member.name.endswith(IDS_SUFFIX):
                num_ids[key] = max(len(data) - 128, 0) // 4
        self.entries = [_entry_of(key, png, jsons.get(key, b""), num_ids.get(key)) for key, png in self._pngs.items()]
        self.title = f"{path}: {len(self.entries):,} samples in one shard"

    def pictures(self, entries: Sequence[Entry], canvas: Canvas) -> list[Picture | None]:  # noqa: ARG002  # as stored
        """Return the stored pictures; None for a damaged one."""
        pictures: list[Picture | None] = [None] * len(entries)
        for number, entry in enumerate(entries):
            with suppress(ValueError):
                pictures[number] = decode_png(self._pngs[entry.key])
        return pictures


def _entry_of(key: str, png: bytes, description: bytes, num_ids: int | None) -> Entry:
    try:
        content = json.loads(description)
        facts = _facts(content)
        label = content.get("normalized_label")
    except (ValueError, AttributeError):
        facts, label = {"reason": "damaged", "fault": "its JSON cannot be read"}, None
    return Entry(key=key, label=label, num_tokens=num_ids, has_ids=True, num_bytes=len(png), **facts)


def is_shard(path: Path) -> bool:
    """Return whether the first member of an archive is the picture of a sample."""
    first = next(iter_members(path, max_bytes=None), None)
    return first is not None and first.name.endswith(PNG_SUFFIX)
