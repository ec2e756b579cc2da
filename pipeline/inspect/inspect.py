"""``latexify inspect``: opens any path of the pipeline, describes it, and draws a contact sheet."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from latexify.artifacts.files import open_parquet, write_atomically
from latexify.artifacts.location import Location, is_local
from latexify.artifacts.names import INDEX_NAME, INKS, MANIFEST_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.schemas import INK_SCHEMA, REJECT_SCHEMA
from latexify.pipeline.inputs.inputs import is_inkml_name, kind_of
from latexify.pipeline.inspect.contact_sheet import INK_CANVAS, draw_sheet
from latexify.pipeline.inspect.entry import Choice, Collection, Entry, Picture, choose
from latexify.pipeline.inspect.inks import InkCollection, RawCollection, RejectCollection, open_inks
from latexify.pipeline.inspect.samples import ShardCollection, TarCollection, is_shard
from latexify.pipeline.inspect.summary import entry_line, summary_lines


def inspect(paths: Sequence[Location], choice: Choice, *, sheet: Location | None) -> Iterator[str]:
    """Yield lines that describe the paths and, if `choice` has a search condition, the entries that match.

    The paths are InkML files, folders or archives, inks, shards or rejections. `sheet` is the PNG file for a contact
    sheet of the chosen entries. Raises LatexifyError if a path cannot be inspected, or a sheet is requested and no
    entry matches.
    """
    shown: list[Entry] = []
    pictures: list[Picture | None] = []
    titles = []
    is_search = (choice.label, choice.key, choice.split) != (None, None, None)
    for path in paths:
        collection = open_collection(path)
        yield collection.title
        yield from summary_lines(collection.entries)
        chosen, num_matching = choose(collection.entries, choice)
        if is_search:
            yield f"  {num_matching:,} match" + (", such as" if num_matching > len(chosen) else "")
            yield from (f"    {entry_line(entry)}" for entry in chosen)
        if sheet is not None:
            shown += chosen
            pictures += collection.pictures(chosen, INK_CANVAS)
        titles.append(f"{path}: {len(chosen)} {choice.pick} of {num_matching:,}")
    if sheet is not None:
        if not shown:
            raise LatexifyError("nothing to draw: no entry matches --label, --key and --split")
        write_atomically(sheet, draw_sheet(shown, pictures, title="  ·  ".join(titles)))
        yield f"{sheet}: {len(shown)} pictures"


def open_collection(path: Location) -> Collection:
    """Open InkML, inks, shards or rejections. Raises LatexifyError if the path is missing, damaged or none of these."""
    kind = _kind_in_manifest(path)
    if kind == SHARDS.kind:
        return ShardCollection(path)
    if kind == INKS.kind:
        return open_inks(path)
    if not is_local(path):
        raise LatexifyError(f"{path} is not an inks or shard folder: name one, or copy the file here to look into it")
    if path.suffix == ".parquet":
        return _open_parquet(path)
    if kind_of(path) == "archive" and not is_inkml_name(path.name) and is_shard(path):
        return TarCollection(path)
    return RawCollection(path)


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
