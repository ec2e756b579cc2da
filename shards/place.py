"""Places: a folder or file on this machine, or one in an object store (``s3://…``, ``gs://…``), used alike.

A place on this machine is a `pathlib.Path`; any other URL is a `upath.UPath`, which has the same methods on top of
fsspec. Settings of a store (endpoint, credentials) come from its own environment variables or from fsspec's
configuration, never from a location, so that locations may be logged.
"""

import sys
from pathlib import Path

from typing_extensions import TypeIs
from upath import UPath

from shards.errors import LatexifyError

Place = Path | UPath

_ERRORS_OF_STORES = (
    ("botocore.exceptions", "BotoCoreError"),  # s3: no credentials, no answer
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("aiohttp", "ClientError"),
)
"""What the packages of object stores raise besides OSError."""


def place_of(location: str) -> Place:
    """The place that a path or URL names.

    Raises LatexifyError where the URL's protocol is not known, or its package is not installed.
    """
    if "://" not in location:
        return Path(location)
    try:
        # a remembered listing would not know what other processes have written since
        place = UPath(location, use_listings_cache=False)
        if place.protocol in {"file", "local"}:
            return Path(place.path)
        _ = place.fs  # imports the package of the protocol
    except (ImportError, ValueError) as error:
        raise LatexifyError(f"{location} cannot be opened: {error}") from None
    return place


def is_local(place: Place) -> TypeIs[Path]:
    """Whether the place lies on this machine, in folders that can be renamed and locked."""
    return isinstance(place, Path)


def store_errors() -> tuple[type[Exception], ...]:
    """Errors of the object stores' packages that are loaded: for `except`, where an OSError is not all."""
    loaded = [(sys.modules[module], name) for module, name in _ERRORS_OF_STORES if module in sys.modules]
    return tuple(getattr(module, name) for module, name in loaded)
