"""Test sets: where the samples come from, drawn as the model at hand needs them."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import Manifest, canonical_json, read_manifest
from latexify.artifacts.names import ARTIFACTS, DATASETS_KEY, INKS, MANIFEST_NAME, SHARDS
from latexify.common.errors import LatexifyError
from latexify.eval.metrics.structure import symbols_of
from latexify.eval.predict.fit import describe
from latexify.eval.predict.samples import EvaluationSample, EvaluationSamples, Rows, ShardSamples
from latexify.eval.score.stage import Origins
from latexify.pipeline.config import LABEL_ANNOTATIONS
from latexify.pipeline.drawing.pictures import draw_rows, sizes_of
from latexify.pipeline.inks.ink import Ink, StrokeColumns, dataset_of
from latexify.pipeline.inks.table import content_hashes, picture_hash, read_inks
from latexify.serve.evaluate.account import Account
from latexify.serve.evaluate.inks import LabelledInks, read_labelled_inks
from latexify.serve.evaluate.pictures import Treatments, hold_pictures, read_labelled_pictures
from latexify.serve.recognizer import canvas_of
from latexify.shards.format.index import SplitIndex, open_split
from latexify.shards.format.train_labels import read_train_labels
from latexify.trainer.model.canvas import Geometry

DRAWN_AT_ONCE = 64


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

    def samples(self, geometry: Geometry) -> AbstractContextManager[EvaluationSamples]:
        """Open its samples, as a model of this canvas needs them. Raises LatexifyError if they cannot be drawn so."""


class DrawnInks:
    """Samples drawn in memory, as the stage rasterize draws them, a batch at a time."""

    def __init__(self, inks: Sequence[Ink], geometry: Geometry) -> None:
        self._inks = [_for_model(ink, geometry) for ink in inks]
        self._canvas = canvas_of(geometry)
        lengths = [len(symbols_of(ink.normalized_label)) + 1 for ink in inks]  # the end token is one more
        self._num_tokens = np.array(lengths, dtype=np.int32)
        self._sizes_px = sizes_of(self._inks, self._canvas)

    @property
    def num_tokens(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._num_tokens

    @property
    def sizes_px(self) -> npt.NDArray[np.int32]:
        """See `EvaluationSamples`."""
        return self._sizes_px

    def read(self, rows: Rows) -> list[EvaluationSample]:
        """See `EvaluationSamples`."""
        inks = [self._inks[int(row)] for row in rows]
        return [
            EvaluationSample(key=ink.key, label=ink.label, reference=ink.normalized_label, pixels=pixels)
            for ink, pixels in zip(inks, draw_rows(inks, self._canvas), strict=True)
        ]


def _for_model(ink: Ink, geometry: Geometry) -> Ink:
    """Return what a model needs of an ink or picture. Raises LatexifyError if it is a picture that was not traced."""
    if ink.picture is None or geometry.pictures == "fitted":
        return ink
    if not ink.strokes:
        raise LatexifyError(
            f"{ink.source} was not traced, and the model needs traced pictures: name the folder of the pictures instead"
        )
    return replace(ink, picture=None)


@dataclass(frozen=True, kw_only=True)
class InkSet:
    """Inks in memory, which can be drawn for any model."""

    inks: Sequence[Ink]  # in the order of their keys
    account: Account
    inputs: Mapping[str, str]
    is_mixture: bool = False  # whether they are of several datasets
    train_labels: frozenset[str] | None = None  # of the training inks beside them; None if there are none

    def origins(self, keys: Sequence[str]) -> Origins:
        """See `EvaluationSet`."""
        writers = {ink.key: ink.writer for ink in self.inks}
        datasets = [dataset_of(key) for key in keys] if self.is_mixture else None
        is_trained = None
        if self.train_labels is not None:
            label_of = {ink.key: ink.normalized_label for ink in self.inks}
            is_trained = [label_of[key] in self.train_labels for key in keys]
        return Origins(writers=[writers[key] for key in keys], datasets=datasets, is_trained=is_trained)

    def samples(self, geometry: Geometry) -> AbstractContextManager[EvaluationSamples]:
        """See `EvaluationSet`."""
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
    def samples(self, geometry: Geometry) -> Iterator[EvaluationSamples]:
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
        return InkSet(inks=read.inks, account=read.account, inputs={INKS.kind: _fingerprint(read.inks)})
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


def _fingerprint(inks: Sequence[Ink]) -> str:
    """Return a hash of what is evaluated: keys, labels and strokes."""
    strokes = iter(content_hashes(StrokeColumns.of([ink.strokes for ink in inks if ink.picture is None])))
    hashes = [next(strokes) if ink.picture is None else picture_hash(ink.picture) for ink in inks]
    facts = [[ink.key, ink.label, content] for ink, content in zip(inks, hashes, strict=True)]
    return hashlib.sha256(canonical_json(facts).encode()).hexdigest()[:16]
