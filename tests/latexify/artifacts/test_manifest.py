"""Manifests: consumers refuse what was made from something else, and name the command to run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from latexify.artifacts.manifest import Manifest, read_manifest, require_input, write_manifest
from latexify.artifacts.names import ARTIFACTS, INKS, MANIFEST_NAME, TOKENIZER
from latexify.common.errors import LatexifyError

MANIFEST = Manifest(kind="inks", version=1, params={"a": 1}, inputs={"source": "x"}, content={"parts": []})


def test_a_manifest_reads_as_it_was_written(tmp_path: Path) -> None:
    """The fingerprint covers everything but the content."""
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path, INKS) == MANIFEST
    assert replace(MANIFEST, content={}).fingerprint == MANIFEST.fingerprint
    assert replace(MANIFEST, params={"a": 2}).fingerprint != MANIFEST.fingerprint


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "missing or incomplete"),
        ("{", "not a manifest"),
        ("[]", "not a manifest"),
        ({"version": 2}, "was edited"),
        ({"kind": "shards"}, "holds 'shards', expected 'inks'"),
    ],
)
def test_a_useless_manifest_names_the_command_to_run(tmp_path: Path, text: object, problem: str) -> None:
    """An error without a remedy sends the user to the source code."""
    write_manifest(tmp_path, MANIFEST)
    path = tmp_path / MANIFEST_NAME
    if text is None:
        path.unlink()
    elif isinstance(text, dict):
        path.write_text(json.dumps(json.loads(path.read_text()) | text))
    else:
        path.write_text(str(text))
    with pytest.raises(LatexifyError, match=rf"{problem}.*run `latexify ingest`") as error:
        read_manifest(tmp_path, INKS)
    assert "\n" not in str(error.value)


def test_an_artifact_made_from_another_input_is_refused(tmp_path: Path) -> None:
    """A tokenizer of other inks would encode labels wrongly."""
    tokenizer = Manifest(kind=TOKENIZER.kind, version=1, params={}, inputs={"inks": MANIFEST.fingerprint})
    require_input(tokenizer, MANIFEST, where=tmp_path)
    with pytest.raises(LatexifyError, match=r"was made from another inks .*: run `latexify vocab` again"):
        require_input(tokenizer, replace(MANIFEST, version=2), where=tmp_path)


def test_every_kind_has_its_producer() -> None:
    """`require_input` looks the producer up by the kind in a manifest."""
    assert list(ARTIFACTS) == ["source", "inks", "tokenizer", "shards", "model", "predictions", "evaluation"]
    assert all(artifact.producer.startswith("latexify ") for artifact in ARTIFACTS.values())
