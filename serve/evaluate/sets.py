"""Test sets: where the samples come from, drawn as the model at hand needs them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import compress
from typing import Protocol

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, canonical_json, read_manifest
from latexify.artifacts.names import ARTIFACTS, DATASETS_KEY, INKS, MANIFEST_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.eval.predict.fit import describe
from latexify.eval.predict.samples import EvaluationSamples, ShardSamples
from latexify.eval.score.stage import Origins
from latexify.pipeline.config import LABEL_ANNOTATIONS
from latexify.pipeline.inks.ink import Ink, StrokeColumns, dataset_of
from latexify.pipeline.inks.table import content_hashes, picture_hash, read_inks
from latexify.serve.evaluate.account import Account
from latexify.serve.evaluate.inks import LabelledInks, read_labelled_inks
from latexify.serve.evaluate.pictures import Treatments, hold_pictures, read_labelled_pictures
from latexify.serve.evaluate.samples import DrawnInks, Resize, WholePictures
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.train_labels import read_train_labels
from latexify.trainer.model.canvas import Geometry


class EvaluationSet(Protocol):
    """A test set."""

    @property
    def account(self) -> Account:
        """What became of its inputs."""

    @property
    def inputs(self) -> Mapping[str, str]:
        """Fingerprints of what it consists of, by kind."""

    def origins(self, keys: Sequence[str]) -> Origins:
        """Return writers and datasets of samples."""

    def samples(self, geometry: Geometry, *, resize: Resize | None = None) -> AbstractContextManager[EvaluationSamples]:
        """Open its samples, as a model of this canvas needs them. Raises LatexifyError if they cannot be drawn so.

        `resize` fits whole picture files to the canvas, if the model takes them whole, see `TrainedModel.resize`.
        """


@dataclass(frozen=True, kw_only=True)
class InkSet:
    """Inks in memory, which can be drawn for any model."""

    inks: Sequence[Ink]  # in the order of their keys
    account: Account
    inputs: Mapping[str, str]
    is_mixture: bool = False  # whether they are of several datasets
    train_labels: frozenset[str] | None = None  # of the training inks beside them; None if there are none
    files: Mapping[str, bytes] = field(default_factory=dict)  # see `LabelledInks`

    def origins(self, keys: Sequence[str]) -> Origins:
        """See `EvaluationSet`."""
        writers = {ink.key: ink.writer for ink in self.inks}
        datasets = [dataset_of(key) for key in keys] if self.is_mixture else None
        is_trained = None
        if self.train_labels is not None:
            label_of = {ink.key: ink.normalized_label for ink in self.inks}
            is_trained = [label_of[key] in self.train_labels for key in keys]
        return Origins(writers=[writers[key] for key in keys], datasets=datasets, is_trained=is_trained)

    def samples(self, geometry: Geometry, *, resize: Resize | None = None) -> AbstractContextManager[EvaluationSamples]:
        """See `EvaluationSet`."""
        if resize is not None and self.files:
            size_px = (geometry.height_px, geometry.width_px)
            return nullcontext(WholePictures(self.inks, self.files, resize=resize, size_px=size_px))
        return nullcontext(DrawnInks(self.inks, geometry))


@dataclass(frozen=True, kw_only=True)
class ShardSet:
    """One split of a folder of shards; its inks, if they are at hand, are drawn for models of another canvas."""

    folder: Location
    manifest: Manifest
    index: SplitIndex
    inks: Sequence[Location]  # folders that may hold the inks

    @property
    def account(self) -> Account:
        """See `EvaluationSet`."""
        return Account(num_scored=len(self.index))

    @property
    def inputs(self) -> Mapping[str, str]:
        """See `EvaluationSet`."""
        return {SHARDS.kind: self.manifest.fingerprint}

    def origins(self, keys: Sequence[str]) -> Origins:
        """See `EvaluationSet`."""
        train_labels = None if self.index.split == "train" else read_train_labels(self.folder)
        return Origins.in_index(self.index, keys, train_labels=train_labels)

    @contextmanager
    def samples(self, geometry: Geometry, *, resize: Resize | None = None) -> Iterator[EvaluationSamples]:  # noqa: ARG002  # shards hold no files
        """See `EvaluationSet`."""
        drawn = Geometry.from_params(self.manifest.params)
        if drawn == geometry:
            with ShardSamples(self.index) as samples:
                yield samples
            return
        keys = self.index.keys.to_pylist()
        found = next((folder for folder in self.inks if self._is_origin(folder)), None)
        if found is None:
            raise LatexifyError(
                f"{self.folder} holds pictures of {describe(drawn)}, the model needs {describe(geometry)}, and its "
                f"inks are not in {' or '.join(map(str, self.inks))} to draw them anew: name the InkML instead"
            )
        wanted = frozenset(keys)
        inks = {ink.key: ink for ink in read_inks(found) if ink.split == self.index.split and ink.key in wanted}
        yield DrawnInks([inks[key] for key in keys], geometry)

    def _is_origin(self, folder: Location) -> bool:
        """Whether the shards were drawn from the inks in this folder."""
        if not (folder / MANIFEST_NAME).is_file():
            return False
        return read_manifest(folder, INKS).fingerprint == self.manifest.inputs.get(INKS.kind)


def open_set(  # noqa: PLR0913  # all that may say what a test set is
    paths: Sequence[Location],
    *,
    names: Sequence[str],
    labels: Sequence[str] | None,
    lists: Sequence[str],
    split: str,
    inks: Location,
    treatments: Treatments,
) -> EvaluationSet:
    """Open the test set that paths name: one folder of shards or of ingested inks, or any ink files, or pictures.

    Args:
        paths: What is named.
        names: The same, as the user wrote it.
        labels: Annotation types that may hold the label of an ink, or the column of a list; None: the usual ones.
        lists: Lists of labels of pictures. None are needed if they are among the pictures.
        split: Which split of shards or ingested inks.
        inks: Folder of this project's inks, for shards that must be drawn anew.
        treatments: What the models need of pictures.

    Raises:
        LatexifyError: If a path is missing or damaged, shards are named together with others, or nothing has a label.
    """
    artifacts = [name for path, name in zip(paths, names, strict=True) if _kind(path) in ARTIFACTS]
    if not artifacts:
        read = _read(names, labels=labels, lists=lists, split=split, treatments=treatments)
        fingerprint = _fingerprint(read.inks, files=read.files)
        return InkSet(inks=read.inks, account=read.account, inputs={INKS.kind: fingerprint}, files=read.files)
    if len(paths) > 1:
        raise LatexifyError(f"{artifacts[0]} is a folder of this project's data: name it without others")
    [folder] = paths
    if _kind(folder) == INKS.kind:
        return _ink_set(folder, split=split)
    return ShardSet(
        folder=folder,
        manifest=read_manifest(folder, SHARDS),
        index=open_split(folder, split),
        inks=list(dict.fromkeys([folder.parent / INKS.kind, inks])),
    )


def _read(
    names: Sequence[str], *, labels: Sequence[str] | None, lists: Sequence[str], split: str, treatments: Treatments
) -> LabelledInks:
    if not lists and not hold_pictures(names):
        return read_labelled_inks(names, labels=labels or LABEL_ANNOTATIONS, split=split)
    if labels is not None and len(labels) > 1:
        raise LatexifyError("a list of labels has one column of LaTeX: name one with --label")
    column = labels[0] if labels else None
    return read_labelled_pictures(names, lists=lists, label_column=column, split=split, treatments=treatments)


def _ink_set(folder: Location, *, split: str) -> InkSet:
    """Open one split of a folder that the stage ingest wrote. Raises LatexifyError if it has no ink of it."""
    manifest = read_manifest(folder, INKS)
    inks, train_labels = [], set()
    for ink in read_inks(folder):
        if ink.split == split:
            inks.append(ink)
        elif ink.split == "train":
            train_labels.add(ink.normalized_label)
    inks.sort(key=lambda ink: ink.key)
    if not inks:
        raise LatexifyError(f"{folder} has no ink of the split {split!r}: name another with --split")
    return InkSet(
        inks=inks,
        account=Account(num_scored=len(inks)),
        inputs={INKS.kind: manifest.fingerprint},
        is_mixture=DATASETS_KEY in manifest.content,
        train_labels=frozenset(train_labels) if train_labels else None,
    )


def _kind(folder: Location) -> str:
    """Return the kind of artifact that a folder holds, as its manifest says; empty if it has none of ours."""
    path = folder / MANIFEST_NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except ValueError:  # a manifest of something else
        return ""
    return str(manifest.get("kind", "")) if isinstance(manifest, dict) else ""


def _fingerprint(inks: Sequence[Ink], *, files: Mapping[str, bytes]) -> str:
    """Return a hash of what is evaluated: keys, labels, and strokes, pictures or files."""
    is_drawn = [bool(ink.strokes) and ink.picture is None for ink in inks]
    strokes = iter(content_hashes(StrokeColumns.of([ink.strokes for ink in compress(inks, is_drawn)])))
    facts = []
    for ink, drawn in zip(inks, is_drawn, strict=True):
        facts.append([ink.key, ink.label])
        if drawn:
            facts[-1].append(next(strokes))
        if ink.picture is not None:
            facts[-1].append(picture_hash(ink.picture))
        if ink.key in files:
            facts[-1].append(hashlib.sha256(files[ink.key]).hexdigest())
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:16]
