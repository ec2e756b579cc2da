"""What one sample is, and how it is spelt in a shard.

A shard is a WebDataset tar: the members of a sample stand together, in the order PNG, token ids, JSON, and share the
part of the name before the first dot.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shards.errors import LatexifyError

PNG_SUFFIX = ".png"
IDS_SUFFIX = ".ids.npy"
JSON_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture with its label, as the trainer and the judge take it.

    key: unique within the dataset. label: the normalised label.
    pixels: uint8 [height, width], 0 = ink, 255 = paper. token_ids: int32 [num_tokens], the end id last, no start id.
    """

    key: str
    label: str
    pixels: npt.NDArray[np.uint8]
    token_ids: npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSample:
    """One sample as the writer takes it: `png` is the whole file, `description` goes into the JSON as it is."""

    key: str
    label: str
    png: bytes
    token_ids: npt.NDArray[np.int32]
    description: Mapping[str, Any]


def check_key(key: str) -> None:
    """Raise LatexifyError where a tar member named by `key` would not be grouped or unpacked as one sample.

    WebDataset takes everything behind the first dot of the name as the suffix and skips names in double underscores.
    """
    parts = key.split("/")
    if not all(parts) or "." in key or "\0" in key or key.startswith("__"):
        raise LatexifyError(
            f"key {key!r} cannot name a sample (it is empty, holds a dot, an empty path component or a NUL, "
            f"or begins with two underscores): percent-encode it when the inks are made"
        )


def encode_ids(token_ids: npt.NDArray[np.int32]) -> bytes:
    """Token ids (int32 [num_tokens]) as the bytes of a ``.npy`` file, version 1.0."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, token_ids.astype("<i4", copy=False), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def decode_ids(data: bytes, *, num_tokens: int) -> npt.NDArray[np.int32]:
    """Undo :func:`encode_ids`; the array cannot be written to. Raises ValueError where it is not int32 [num_tokens].

    Unlike `numpy.load`, it allocates nothing that the header asks for before that is known to be right.
    """
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("token ids are not a .npy file of version 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != np.dtype("<i4") or shape != (num_tokens,) or len(data) - file.tell() != 4 * num_tokens:
        raise ValueError(f"token ids are {dtype} {shape}, expected int32 ({num_tokens},)")
    return np.frombuffer(data, dtype=np.int32, offset=file.tell())
