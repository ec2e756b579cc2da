"""Manifests: what an artifact was made from, and the checks of its consumers.

Every stage writes ``manifest.json`` last, so a folder with a manifest is complete.
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
    """What an artifact folder is and what it was made from."""

    kind: str  # see `latexify.artifacts.names`
    version: int  # of the format; raised whenever the same inputs and parameters give other bytes
    params: Mapping[str, Any]  # what shaped it, as plain JSON values
    inputs: Mapping[str, str]  # fingerprint of each artifact it was made from, by kind
    # what consumers need (splits, shard names and hashes, counts); not part of the fingerprint
    content: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """First 16 hex digits of the SHA-256 of kind, version, parameters and inputs."""
        identity = {"kind": self.kind, "version": self.version, "params": self.params, "inputs": self.inputs}
        return hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys and without spaces, so that equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def write_manifest(folder: Location, manifest: Manifest) -> None:
    """Write ``manifest.json`` atomically. Call this last: a folder with a manifest is complete."""
    write_json(folder / MANIFEST_NAME, {**asdict(manifest), "fingerprint": manifest.fingerprint})


def read_manifest(folder: Location, artifact: Artifact) -> Manifest:
    """Read and check a manifest. Raises LatexifyError if it is missing, damaged, edited or of another kind."""
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

    Raises LatexifyError, which names the command that makes it again, if it was made from another one.
    """
    fingerprint = consumer.inputs.get(needed.kind)
    if fingerprint != needed.fingerprint:
        raise LatexifyError(
            f"{where} was made from another {needed.kind} ({fingerprint}, now {needed.fingerprint}): "
            f"run `{ARTIFACTS[consumer.kind].producer}` again"
        )
