"""Manifests: what an artifact was made from, and the check that its consumers run before they use it.

Every stage writes ``manifest.json`` into its output folder, last of all, so that a folder with a manifest is whole.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from latexify.artifacts.files import write_json
from latexify.artifacts.location import Location
from latexify.artifacts.names import ARTIFACTS, MANIFEST_NAME, Artifact
from latexify.common.errors import LatexifyError


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What an artifact folder is and what it was made from.

    kind: the stage that wrote it (``inks``, ``tokenizer``, ``shards``, ``model``, ``predictions``).
    version: version of the artifact's format; raised whenever the same inputs and parameters give other bytes.
    params: the parameters that shaped it, as plain JSON values.
    inputs: fingerprint of each artifact it was made from, by kind.
    content: what consumers need to know of it (splits, shard names and hashes, counts); not part of the fingerprint.
    """

    kind: str
    version: int
    params: Mapping[str, Any]
    inputs: Mapping[str, str]
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of kind, version, parameters and inputs: the same for the same recipe."""
        recipe = {"kind": self.kind, "version": self.version, "params": self.params, "inputs": self.inputs}
        return hashlib.sha256(canonical_json(recipe).encode()).hexdigest()[:16]


def canonical_json(value: object) -> str:
    """JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_manifest(folder: Location, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically. Call it last: its presence says that the folder is whole."""
    write_json(folder / MANIFEST_NAME, {**asdict(manifest), "fingerprint": manifest.fingerprint})


def read_manifest(folder: Location, artifact: Artifact) -> Manifest:
    """Read and check the manifest of an artifact folder.

    Raises:
        LatexifyError: If the folder has no manifest, an unreadable or edited one, or one of another kind.
    """
    path, producer = folder / MANIFEST_NAME, artifact.producer
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        stored = raw.pop("fingerprint")
        manifest = Manifest(**raw)
    except FileNotFoundError:
        raise LatexifyError(f"{folder} is missing or incomplete (no {MANIFEST_NAME}): run `{producer}` first") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LatexifyError(f"{path} is not a manifest ({error}): run `{producer}` again") from None
    if manifest.kind != artifact.kind:
        raise LatexifyError(f"{folder} holds {manifest.kind!r}, expected {artifact.kind!r}: run `{producer}` again")
    if manifest.fingerprint != stored:
        raise LatexifyError(f"{path} was edited (its fingerprint does not match): run `{producer}` again")
    return manifest


def require_input(consumer: Manifest, needed: Manifest, *, where: Location) -> None:
    """Check that `consumer` (the manifest of the folder `where`) was made from exactly the artifact `needed`.

    Raises:
        LatexifyError: If it was made from another one; the message names the command that makes it again.
    """
    fingerprint = consumer.inputs.get(needed.kind)
    if fingerprint != needed.fingerprint:
        raise LatexifyError(
            f"{where} was made from another {needed.kind} ({fingerprint}, now {needed.fingerprint}): "
            f"run `{ARTIFACTS[consumer.kind].producer}` again"
        )
