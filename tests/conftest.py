"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout under test."""
    return REPOSITORY


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (see docs/development.md); the test is skipped where it is not at hand."""
    folder = os.environ.get("LATEXIFY_REAL_DATA")
    if not folder:
        pytest.skip("LATEXIFY_REAL_DATA is not set: no real inks here")
    path = Path(folder)
    assert path.is_dir(), f"LATEXIFY_REAL_DATA={folder} is not a folder"
    return path
