"""Locations: folders and files on this machine or in an object store (``s3://…``, ``gs://…``), used alike.

A location on this machine is a `pathlib.Path`; any other URL is a `upath.UPath`, which has the same methods on top of
fsspec. Settings of a store (endpoint, credentials) come from its environment variables or from fsspec's configuration,
never from a location, so locations may be logged.
"""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import TypeIs

from latexify.common.errors import LatexifyError, one_line

if TYPE_CHECKING:
    from upath import UPath

    Location = Path | UPath
else:
    Location = Path  # `upath` imports fsspec, which takes longer than the rest of a command that needs neither

# exceptions of the packages of object stores that are not OSErrors
_ERRORS_OF_STORES = (
    ("botocore.exceptions", "BotoCoreError"),  # s3: no credentials, no answer
    ("botocore.exceptions", "ClientError"),
    ("google.auth.exceptions", "GoogleAuthError"),
    ("gcsfs.retry", "HttpError"),
    ("azure.core.exceptions", "AzureError"),
    ("aiohttp", "ClientError"),
)
_OUR_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


def location_of(text: str) -> Location:
    """Return the location that a path or URL names.

    Raises LatexifyError if the URL's protocol is unknown, or its package is not installed.
    """
    if "://" not in text:
        return Path(text)
    from upath import UPath  # noqa: PLC0415  # see `Location`

    try:
        # a cached listing would miss what other processes have written since
        location = UPath(text, use_listings_cache=False)
        if location.protocol in {"file", "local"}:
            return Path(location.path)
        _ = location.fs  # imports the package of the protocol
    except (ImportError, ValueError) as error:
        raise LatexifyError(f"{text} cannot be opened: {error}") from None
    return location


def is_local(location: Location) -> TypeIs[Path]:
    """Whether the location is on this machine, where folders can be renamed and locked."""
    return isinstance(location, Path)


def store_errors() -> tuple[type[Exception], ...]:
    """Return the exception types, besides OSError, of the object stores' packages that are loaded, for `except`."""
    loaded = [(sys.modules[module], name) for module, name in _ERRORS_OF_STORES if module in sys.modules]
    return tuple(getattr(module, name) for module, name in loaded)


def _location_errors() -> tuple[type[Exception], ...]:
    return (OSError, *store_errors())


@contextmanager
def store_trouble(location: Location) -> Iterator[None]:
    """Turn errors of an object store, such as a lost connection or a missing bucket, into a LatexifyError.

    Errors of this machine's disk pass unchanged, as do all errors if the location is on this machine.
    """
    try:
        yield
    except _location_errors() as error:
        # an error of a local file names the file, one of a full disk may not
        is_of_file = isinstance(error, OSError) and (error.filename is not None or error.errno in _OUR_DISK)
        if is_local(location) or is_of_file or isinstance(error, BrokenPipeError | ChildProcessError):
            raise
        raise LatexifyError(f"{location}: {one_line(f'{type(error).__name__}: {error}')}: {_remedy(error)}") from error


def _remedy(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such bucket or object, check the URL"
    guide = "(docs/guide/scale.md)"
    if isinstance(error, PermissionError):
        return f"the store denies access, check the credentials in the environment and their permissions {guide}"
    return (
        "the object store does not answer as it should, check the network and the store's settings in the environment "
        f"{guide}, then run the same command again"
    )
