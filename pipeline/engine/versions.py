"""What the bytes of an artifact depend on besides inputs and parameters: this code, and the libraries it stands on."""

import hashlib
import platform
import zlib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import latexify
from latexify.pipeline.drawing.draw import cairo_version

_CODE = ("artifacts", "common", "fast", "pipeline", "shards")
_LIBRARIES = ("isal", "lxml", "numpy", "pillow", "pyarrow", "pycairo", "zlib-ng")


@cache
def versions() -> Mapping[str, str]:
    """Name and version of all that shapes bytes, on the machine that asks. Two machines with the same make the same.

    Taken once a process: code that is changed under a running process is not what it runs.
    """
    libraries = {name: metadata.version(name) for name in _LIBRARIES}
    return {
        "latexify": _hash_of_code(Path(latexify.__file__).resolve().parent),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "cairo": cairo_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **libraries,
    }


def _hash_of_code(root: Path) -> str:
    """First 12 hex digits of the SHA-256 of the offline half's sources: checkouts of the same version may differ."""
    digest = hashlib.sha256()
    for path in sorted(path for room in _CODE for path in (root / room).rglob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> list[str]:
    """What is not the same, one text for each, such as ``cairo 1.16.0 (here 1.18.0)``."""
    return [
        f"{name} {there.get(name, 'missing')} (here {version})"
        for name, version in here.items()
        if there.get(name) != version
    ]
