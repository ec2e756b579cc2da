"""Telling what a path is."""

import json
from pathlib import Path

import pyarrow as pa

from latexify.artifacts.files import open_parquet
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import INDEX_NAME, INKS, MANIFEST_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import INK_SCHEMA, REJECT_SCHEMA
from latexify.pipeline.inputs.archives import kind_of
from latexify.pipeline.inputs.keys import is_inkml_name
from latexify.pipeline.inspect.entry import Collection
from latexify.pipeline.inspect.inks import InkCollection, open_inks
from latexify.pipeline.inspect.raw import RawCollection
from latexify.pipeline.inspect.rejects import RejectCollection
from latexify.pipeline.inspect.samples import ShardCollection, TarCollection, is_shard


def open_collection(place: Location) -> Collection:
    """Open whatever `place` is: InkML, inks, shards or rejections.

    Raises LatexifyError where it does not exist, is damaged, or is nothing of the kind.
    """
    kind = _kind_in_manifest(place)
    if kind == SHARDS.kind:
        return ShardCollection(place)
    if kind == INKS.kind:
        return open_inks(place)
    if not is_local(place):
        raise LatexifyError(f"{place} is no inks or shard folder: name one, or copy the file here to look into it")
    if place.suffix == ".parquet":
        return _open_parquet(place)
    if kind_of(place) == "archive" and not is_inkml_name(place.name) and is_shard(place):
        return TarCollection(place)
    return RawCollection(place)


def _kind_in_manifest(folder: Location) -> str | None:
    try:
        return str(json.loads((folder / MANIFEST_NAME).read_text(encoding="utf-8"))["kind"])
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise LatexifyError(f"{folder / MANIFEST_NAME} is not a manifest ({error}): make the folder again") from None


def _open_parquet(path: Path) -> Collection:
    try:
        with open_parquet(path) as file:
            names = set(file.schema_arrow.names)
    except FileNotFoundError:
        raise LatexifyError(f"{path} does not exist: name another path") from None
    except pa.ArrowException as error:
        raise LatexifyError(f"{path} is damaged ({str(error).splitlines()[0]}): make it again") from None
    if path.name == INDEX_NAME:
        return ShardCollection(path.parent)
    if set(REJECT_SCHEMA.names) <= names:
        return RejectCollection(path)
    if set(INK_SCHEMA.names) <= names:
        return InkCollection([path], title=str(path))
    raise LatexifyError(f"{path} holds neither inks nor rejections: its columns are {', '.join(sorted(names))}")
