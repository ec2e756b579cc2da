"""``latexify inspect``: what is there in words, and a sheet of it."""

from collections.abc import Iterator, Sequence

from latexify.artifacts.files import write_atomically
from latexify.artifacts.location import Location
from latexify.common.errors import LatexifyError
from latexify.pipeline.inspect.choosing import Choice, choose
from latexify.pipeline.inspect.contact_sheet import INK_CANVAS, draw_sheet
from latexify.pipeline.inspect.entry import Entry, Picture
from latexify.pipeline.inspect.opening import open_collection
from latexify.pipeline.inspect.wording import describe, describe_entry


def look(places: Sequence[Location], choice: Choice, *, sheet: Location | None) -> Iterator[str]:
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
