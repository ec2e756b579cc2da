"""What the bytes of an artifact depend on besides inputs and parameters: this code and its libraries."""

import hashlib
import platform
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import latexify
from latexify.fast.cairo_path import cairo_version

_CODE = ("artifacts", "common", "fast", "pipeline", "shards")  # the packages that workers of the offline half run
_LIBRARIES = ("isal", "lxml", "numpy", "pillow", "pyarrow", "pycairo", "zlib-ng")


@cache
def versions() -> Mapping[str, str]:
    """Return name and version of everything that shapes bytes on this machine; equal versions make equal bytes.

    Cached per process, because code that changes on disk later is not the code that this process runs.
    """
    return {
        "latexify": _hash_of_code(Path(latexify.__file__).resolve().parent),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cairo": cairo_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in _LIBRARIES},
    }


def _hash_of_code(root: Path) -> str:
    """Return the first 12 hex digits of the SHA-256 of the sources, because checkouts of one version may differ.

    A clone, where packages are links beside `root`, and an installed wheel of it have the same hash.
    """
    digest = hashlib.sha256()
    for path in sorted(path for package in _CODE for path in (root / package).rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """Return a text for each difference, such as ``cairo 1.16.0 (here 1.18.0)``."""
    return [
        f"{name} {there.get(name, 'missing')} (here {version})"
        for name, version in here.items()
        if there.get(name) != version
    ]
