"""A sample, and its form in a shard.

A shard is a WebDataset tar: the members of a sample follow each other in the order PNG, token ids, JSON, and share the
part of the name before the first dot.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from latexify.common.errors import LatexifyError

PNG_SUFFIX = ".png"
IDS_SUFFIX = ".ids.npy"
JSON_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture with its label, as training and evaluation read it."""

    key: str  # unique within the dataset
    label: str  # normalised
    pixels: npt.NDArray[np.uint8]  # [height, width], 0 = ink, 255 = paper
    token_ids: npt.NDArray[np.int32]  # [num_tokens], the end id last, no start id


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSample:
    """One sample as it is written: `png` is the whole file, `description` becomes the JSON."""

    key: str
    label: str
    png: bytes
    token_ids: npt.NDArray[np.int32]
    description: Mapping[str, Any]
    dataset: str | None = None  # its name, if there are several


def check_key(key: str) -> None:
    """Raise LatexifyError if WebDataset would not read members named by `key` as one sample.

    WebDataset takes everything after the first dot of a name as the suffix, and skips names in double underscores.
    """
    parts = key.split("/")
    if not all(parts) or "." in key or "\0" in key or key.startswith("__"):
        raise LatexifyError(
            f"key {key!r} cannot name a sample (it is empty, holds a dot, an empty path component or a NUL, "
            "or begins with two underscores): percent-encode it when the inks are made"
        )


def encode_ids(token_ids: npt.NDArray[np.int32]) -> bytes:
    """Return token ids (int32 [num_tokens]) as the bytes of a ``.npy`` file, version 1.0."""
    return _ids_header(len(token_ids)) + token_ids.astype("<i4", copy=False).tobytes()


def decode_ids(data: bytes | memoryview, *, num_tokens: int) -> npt.NDArray[np.int32]:
    """Undo :func:`encode_ids`; ValueError if `data` is not int32 [num_tokens].

    Unlike `numpy.load`, it checks the header before it allocates memory.
    """
    header = _ids_header(num_tokens)
    if data[: len(header)] != header:  # written by another version of NumPy, or damaged
        header = _check_ids_header(bytes(data), num_tokens=num_tokens)
    if len(data) - len(header) != 4 * num_tokens:
        raise ValueError(f"token ids take {len(data) - len(header)} bytes, expected 4 x {num_tokens}")
    return np.frombuffer(data, dtype="<i4", offset=len(header)).astype(np.int32)


@lru_cache(maxsize=1024)
def _ids_header(num_tokens: int) -> bytes:
    buffer = io.BytesIO()
    description = {"descr": "<i4", "fortran_order": False, "shape": (num_tokens,)}
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _check_ids_header(data: bytes, *, num_tokens: int) -> bytes:
    """Return the header of a ``.npy`` file; raise ValueError if it is not that of int32 [num_tokens]."""
    buffer = io.BytesIO(data)
    try:
        if np.lib.format.read_magic(buffer) != (1, 0):
            raise ValueError("token ids are not a .npy file of version 1.0")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(buffer)
    except (SyntaxError, TokenError) as error:  # the header is a Python literal
        raise ValueError(f"the header of the token ids cannot be read: {error}") from None
    if dtype != np.dtype("<i4") or shape != (num_tokens,) or fortran_order:
        raise ValueError(f"token ids are {dtype} {shape}, expected int32 ({num_tokens},)")
    return data[: buffer.tell()]
