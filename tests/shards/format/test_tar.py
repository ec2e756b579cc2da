"""Tars: the bytes that tarfile would write, faster."""

import hashlib
import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from latexify.shards.format.tar import TarWriter, member_header

names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=300) | (
    st.text("ab/é.", min_size=95, max_size=105)
)


def by_tarfile(name: str, num_bytes: int) -> bytes:
    """The header that tarfile makes."""
    info = tarfile.TarInfo(name)
    info.size = num_bytes
    return info.tobuf(tarfile.PAX_FORMAT)


@settings(max_examples=300, deadline=None)
@given(name=names, num_bytes=st.integers(0, 2**40) | st.sampled_from([8**11 - 1, 8**11]))
def test_headers_are_those_of_tarfile(name: str, num_bytes: int) -> None:
    """Other programs would refuse the shard, or unpack a member under another name."""
    assert member_header(name, num_bytes) == by_tarfile(name, num_bytes)


@settings(max_examples=50, deadline=None)
@given(members=st.lists(st.tuples(names, st.binary(max_size=1500)), max_size=5))
def test_a_tar_is_read_back_whole(members: list[tuple[str, bytes]]) -> None:
    """Offsets go into the index: the reader would hand out bytes of the neighbour."""
    file = io.BytesIO()
    tar = TarWriter(file)
    offsets = tar.append(members)
    tar.finish()
    content = file.getvalue()
    assert (tar.num_bytes, tar.sha256.digest()) == (len(content), hashlib.sha256(content).digest())
    with tarfile.open(fileobj=io.BytesIO(content)) as read:
        found = [(member.name, member.size) for member in read]
    assert found == [(name.rstrip("/") or name, len(data)) for name, data in members]
    for offset, (_, data) in zip(offsets, members, strict=True):
        assert content[offset : offset + len(data)] == data
