"""Places: a folder or file on this machine, or one in an object store (``s3://…``, ``gs://…``), used alike.

A place on this machine is a `pathlib.Path`; any other URL is a `upath.UPath`, which has the same methods on top of
fsspec. Settings of a store (endpoint, credentials) come from its own environment variables or from fsspec's
configuration, never from a location, so that locations may be logged.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import TypeIs
from upath import UPath

from latexify.common.errors import LatexifyError

Location = Path | UPath

_ERRORS_OF_STORES = (
    ("botocore.exceptions", "BotoCoreError"),  # s3: no credentials, no answer
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("aiohttp", "ClientError"),
)
"""What the packages of object stores raise besides OSError."""


_OUR_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def location_of(location: str) -> Location:
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


def is_local(place: Location) -> TypeIs[Path]:
    """Whether the place lies on this machine, in folders that can be renamed and locked."""
    return isinstance(place, Path)


def store_errors() -> tuple[type[Exception], ...]:
    """Errors of the object stores' packages that are loaded: for `except`, where an OSError is not all."""
    loaded = [(sys.modules[module], name) for module, name in _ERRORS_OF_STORES if module in sys.modules]
    return tuple(getattr(module, name) for module, name in loaded)


@contextmanager
def store_trouble(place: Location) -> Iterator[None]:
    """Make one clear LatexifyError of what a store raises in the block, such as a lost connection or a missing bucket.

    Errors of this machine's own disk pass, as does everything where the place is on this machine.
    """
    try:
        yield
    except _errors_of_places() as error:
        if is_local(place) or _is_of_our_disk(error):
            raise
        raise LatexifyError(f"{place}: {_in_a_line(error)}: {_remedy(error)}") from error


def _errors_of_places() -> tuple[type[Exception], ...]:
    return (OSError, *store_errors())


def _is_of_our_disk(error: BaseException) -> bool:
    """Errors of local files name the file; those of a full disk may not."""
    of_files = isinstance(error, OSError) and (error.filename is not None or error.errno in _OUR_DISK)
    return of_files or isinstance(error, BrokenPipeError | ChildProcessError)


def _in_a_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _remedy(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or object, check the URL"
    if isinstance(error, PermissionError):
        return "the store refuses it, check the credentials in the environment and what they allow (docs/guide/scale.md)"
    return (
        "the object store does not answer as it should, check the network and the store's settings in the environment "
        "(docs/guide/scale.md), then run the same command again"
    )
