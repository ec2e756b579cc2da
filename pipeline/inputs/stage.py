"""Stage ``inputs``: what other stages read from outside DVC, as small files on which they depend.

DVC cannot depend on "the archives that params.yaml names" or on "whatever model.base is". So this stage runs on every
`dvc repro` and writes ``{stage}.json`` for each of those stages. Its content changes when what the stage reads does.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latexify.artifacts.base_version import folder_version, hub_version
from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location, store_trouble
from latexify.common.errors import LatexifyError
from latexify.common.package_data import resolve_base
from latexify.common.progress import notice
from latexify.pipeline.config import SECTIONS, ComposedParams, DatasetParams
from latexify.pipeline.inputs.inputs import resolve_path
from latexify.pipeline.inputs.raw_files import ContentHashes


def run(  # noqa: PLR0913  # parameters of several stages; all but the first are named
    params: DatasetParams, *, composed: ComposedParams, base: str, tokenizer: str, raw: Location, out: Path, cache: Path
) -> None:
    """Write ``source.json``, ``vocab.json`` and ``train.json`` into the folder `out`.

    What is not here keeps the version that `out` has of it, and one line says so: the stage that reads it did not
    change, or reports that it is missing.

    Args:
        params: The datasets with their sections and weights, and the seed.
        composed: Section `composed`.
        base: `model.base`.
        tokenizer: `vocab.tokenizer`.
        raw: Folder to which paths of params.yaml are relative.
        out: Folder of the files, with those of the last run.
        cache: JSON file that remembers hashes of unchanged files.
    """
    write_json(
        out / "source.json", _source_inputs(params, composed, raw=raw, known=_read(out / "source.json"), cache=cache)
    )
    version = _base_inputs(base, known=_read(out / "train.json"))
    write_json(out / "train.json", version | ({} if params.weights is None else {"weights": params.weights}))
    write_json(out / "vocab.json", version if tokenizer in ("base", "latex_and_base") else {})


def _source_inputs(
    params: DatasetParams, composed: ComposedParams, *, raw: Location, known: Mapping[str, Any], cache: Path
) -> dict[str, Any]:
    """Return what `source` depends on: the sections in use, and a hash of each file that they name."""
    hashes = ContentHashes(cache)
    recorded = known.get("files", {}) if known.get("raw") == params.raw else {}
    files = {}
    for path, location in raw_locations(params, composed, raw=raw).items():
        with store_trouble(location):
            found = hashes.of(location)
        files[path] = found or _recorded(path, recorded, where=str(location))
    hashes.save()
    names = list(params.sections)
    chosen: dict[str, Any] = {"dataset": names[0]} if len(names) == 1 else {"datasets": names}
    values = chosen | {"seed": params.seed, "raw": params.raw}
    values |= {SECTIONS.get(name, name): section.identity() for name, section in params.sections.items()}
    if composed.num_inks:
        values["composed"] = composed.identity()
    return values | {"files": files}


def raw_locations(params: DatasetParams, composed: ComposedParams, *, raw: Location) -> dict[str, Location]:
    """Return the files and folders that `source` reads as they are, by their names in params.yaml, in order."""
    named = [section.raw_paths() for section in params.sections.values()]
    known = [paths for paths in named if paths is not None]
    names = sorted({path for paths in [*known, composed.raw_paths()] for path in paths})
    if len(known) < len(named):
        names = ["."]
    return {name: resolve_path(name, raw=raw) for name in names}


def _recorded(path: str, recorded: Mapping[str, str | None], *, where: str) -> str | None:
    """Return the hash of a file that is not here as it was seen last, if it was."""
    version = recorded.get(path)
    if version is not None:
        notice(f"inputs: {where} is not here: taken as unchanged")
    return version


def _base_inputs(base: str, *, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return `model.base` and its version; None where it cannot be known, and the stages that read it will say why."""
    version: str | None = None
    if base != "scratch":
        try:
            version = _base_version(base)
        except LatexifyError as error:
            if known.get("base") == base and known.get("version") is not None:
                version = known["version"]
                notice(f"inputs: {error}: taken as unchanged")
    return {"base": base, "version": version}


def _base_version(base: str) -> str:
    place = resolve_base(base)
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder_version(folder)
    if place.startswith((".", "/", "~")):
        raise LatexifyError(f"model.base {base} is not here")
    return hub_version(place)


def _read(path: Path) -> dict[str, Any]:
    """Read what the last run wrote; nothing where there is none, or it is damaged and is therefore written again."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
