"""``latexify inspect``: what is there in words, and a sheet of it."""

from collections.abc import Iterator, Sequence

from pipeline.inspection.choosing import Choice, choose
from pipeline.inspection.contact_sheet import INK_CANVAS, draw_sheet
from pipeline.inspection.entry import Entry, Picture
from pipeline.inspection.opening import open_collection
from pipeline.inspection.wording import describe, describe_entry
from shards.errors import LatexifyError
from shards.files import write_atomically
from shards.place import Place


def look(places: Sequence[Place], choice: Choice, *, sheet: Place | None) -> Iterator[str]:
    """Lines that say what the places hold; where `choice` searches, those that it finds.

    sheet: a PNG file to write what is chosen to, of each place after the other.

    Raises LatexifyError where a place is nothing that can be looked into, or nothing there is as the choice wants it.
    """
    shown: list[Entry] = []
    pictures: list[Picture | None] = []
    titles = []
    is_search = (choice.label, choice.key, choice.split) != (None, None, None)
    for place in places:
        collection = open_collection(place)
        yield collection.title
        yield from describe(collection.entries)
        chosen, num_matching = choose(collection.entries, choice)
        if is_search:
            yield f"  {num_matching:,} are as wanted" + (", such as" if num_matching > len(chosen) else "")
            yield from (f"    {describe_entry(entry)}" for entry in chosen)
        if sheet is not None:
            shown += chosen
            pictures += collection.pictures(chosen, INK_CANVAS)
        titles.append(f"{place}: {len(chosen)} {choice.pick} of {num_matching:,}")
    if sheet is not None:
        if not shown:
            raise LatexifyError("there is nothing to draw: no entry is as --label, --key and --split want it")
        write_atomically(sheet, draw_sheet(shown, pictures, title="  ·  ".join(titles)))
        yield f"{sheet}: {len(shown)} pictures"
