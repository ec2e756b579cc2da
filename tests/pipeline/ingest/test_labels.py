"""Label, writer and split of one ink."""

import pytest

from latexify.pipeline.ingest.labels import InkTexts, read_texts
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan
from latexify.pipeline.inputs.splits import AnnotationSplit
from latexify.pipeline.latex import normalize

ITEM = SourceInput(
    path="inks",
    name="inks",
    kind="folder",
    key_prefix="",
    num_inputs=1,
    num_bytes=1,
    sha256="0",
    rule=AnnotationSplit(annotation="split"),
)
PLAN = SourcePlan(
    inputs=[ITEM], label_annotations=["normalizedLabel", "label"], writer_annotations=["writer", "author"]
)


def read(**annotations: str) -> InkTexts:
    """Read the texts of an ink with these annotations."""
    return read_texts(
        {"split": "test"} | annotations, path="a.inkml", item=ITEM, plan=PLAN, max_label_chars=9, normalize=normalize
    )


def test_the_first_annotation_that_an_ink_has_wins() -> None:
    """MathWriting's inks have both labels, its symbols have only one."""
    texts = read(label="$y$", normalizedLabel="$x$", author="ann", writer="bob")
    assert texts == InkTexts(split="test", label="$x$", normalized_label="x", writer="bob")
    assert (read(label="y").label, read(label="y", author="ann").writer) == ("y", "ann")


def test_a_placeholder_is_not_a_writer() -> None:
    """All inks of unknown writers would otherwise be in one split."""
    assert read(label="y", writer="Unknown").writer is None


@pytest.mark.parametrize(
    ("annotations", "reason", "detail"),
    [
        ({}, Reason.NO_LABEL, "no annotation normalizedLabel or label; the ink has split"),
        ({"Label": "x"}, Reason.NO_LABEL, "no annotation normalizedLabel or label; the ink has Label, split"),
        ({"label": "x" * 10}, Reason.BAD_LABEL, "10 characters, at most 9 are allowed"),
        ({"label": "$ $"}, Reason.BAD_LABEL, "nothing is left of '$ $'"),
        ({"label": "x", "split": "tset"}, Reason.NO_SPLIT, "no annotation split names a split"),
    ],
)
def test_unusable_texts_are_refused(annotations: dict[str, str], reason: Reason, detail: str) -> None:
    """The user must be able to tell from the rejection what to change."""
    with pytest.raises(UnusableInkError, match=detail.replace("$", r"\$")) as caught:
        read(**annotations)
    assert caught.value.reason is reason
