"""Freed memory goes back to the system, on Linux with glibc."""

import platform

import psutil
import pytest

from latexify.common.memory import release_free_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc keeps and returns memory so")
def test_gaps_between_objects_are_returned() -> None:
    """`ingest` of a large archive would keep the memory of its chunks while it looks for duplicates."""
    process = psutil.Process()
    blocks = [bytes(4000) for _ in range(25_000)]
    held = process.memory_info().rss
    kept = blocks[::1000]  # between the others, so that the heap cannot shrink by itself
    del blocks
    release_free_memory()
    assert held - process.memory_info().rss > 60e6
    assert len(kept) == 25


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The libraries of Alpine and macOS have no such function."""
    monkeypatch.setattr("latexify.common.memory._trim", lambda: None)
    release_free_memory()
