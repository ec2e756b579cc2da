"""Reading members of folders and archives where they lie, by processes that have not listed them."""

import os
from pathlib import Path
from typing import Self

from latexify.artifacts.location import Location, is_local
from latexify.pipeline.inputs.archives import Member
from latexify.pipeline.inputs.inputs import SourceInput, changed_since, locate


class MemberReader:
    """Fetches the data of members that came without. A context manager: it keeps the archives of a chunk open.

    base: the source folder. max_file_bytes: larger members stay without data.
    """

    def __init__(self, *, base: Path, max_file_bytes: int) -> None:
        self._base = base
        self._max_file_bytes = max_file_bytes
        self._places: dict[str, Location] = {}
        self._files: dict[str, int] = {}

    def load(self, member: Member, *, item: SourceInput) -> Member:
        """The member with its data, if it can be read in place and is not too large.

        Raises LatexifyError where the input has changed since `source` looked at it, as far as its size tells.
        """
        in_place = member.offset is not None or item.kind == "folder"
        if member.data is not None or not in_place or member.num_bytes > self._max_file_bytes:
            return member
        data = self._from_archive(member, item) if member.offset is not None else self._from_folder(member, item)
        if len(data) != member.num_bytes:
            raise changed_since(item)
        # `dataclasses.replace` takes three times as long
        return Member(name=member.name, num_bytes=len(data), data=data, is_file=member.is_file, offset=member.offset)

    def _from_folder(self, member: Member, item: SourceInput) -> bytes:
        try:
            return (self._place(item) / member.name).read_bytes()
        except FileNotFoundError:
            raise changed_since(item) from None

    def _from_archive(self, member: Member, item: SourceInput) -> bytes:
        assert member.offset is not None, "of an archive whose members lie open"
        if item.path not in self._files:
            place = self._place(item)
            assert is_local(place), "only members of such archives have an offset"
            self._files[item.path] = os.open(place, os.O_RDONLY)
        return os.pread(self._files[item.path], member.num_bytes, member.offset)

    def _place(self, item: SourceInput) -> Location:
        if item.path not in self._places:
            self._places[item.path] = locate(item, base=self._base)
        return self._places[item.path]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._files:
            os.close(self._files.popitem()[1])
