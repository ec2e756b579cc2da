"""The version of a model to start from: a hash of its folder, or its commit on the Hugging Face Hub. Needs no torch."""

import hashlib
from pathlib import Path

from latexify.common.errors import LatexifyError, first_line

CONTENT_SUFFIXES = (".safetensors", ".bin", ".json", ".txt", ".model")
"""Suffixes of the files that weights, configuration and tokenizer are read from."""


def folder_version(folder: Path) -> str:
    """Return the first 16 hex digits of a SHA-256 of the names and contents of a model folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in CONTENT_SUFFIXES:
            with path.open("rb") as file:
                digest.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def hub_version(name: str) -> str:
    """Return the commit of a Hub model that a training would load: the newest, or offline the one that was downloaded.

    Raises LatexifyError if there is none, or huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import hf_hub_download  # noqa: PLC0415  # slow to import, and not in every extra

        config = hf_hub_download(name, "config.json")
    except (ImportError, OSError, ValueError) as error:  # those of the Hub are OSErrors, of a wrong name ValueErrors
        raise LatexifyError(f"the commit of {name} on the Hub is not known ({first_line(error)})") from None
    return Path(config).parent.name  # …/snapshots/COMMIT/config.json
