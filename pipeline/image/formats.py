"""The formats of pictures that are read: those of Pillow that hold pixels."""

from functools import cache

from PIL import Image

NOT_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
"""Formats whose files Pillow opens and cannot decode, or, for EPS, only by running Ghostscript on them."""


@cache
def picture_suffixes() -> frozenset[str]:
    """The suffixes of the formats, in small letters, each with its dot."""
    Image.init()
    found = Image.registered_extensions().items()
    return frozenset(suffix for suffix, kind in found if kind in Image.OPEN and kind not in NOT_PICTURES) | {".mpo"}
