"""Label, writer and split of an ink, from its annotations and the source plan."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.inputs.inputs import SourceInput, SourcePlan
from latexify.pipeline.inputs.splits import InkFacts, known_writer, require_split

Normalize = Callable[[str], str]  # `latexify.pipeline.latex.normalize`, perhaps cached


@dataclass(frozen=True, slots=True, kw_only=True)
class InkTexts:
    """The text columns of an ink, without key and source."""

    split: str
    label: str
    normalized_label: str
    writer: str | None


def read_texts(  # noqa: PLR0913  # all that a label and a split may depend on
    annotations: Mapping[str, str],
    *,
    path: str,
    item: SourceInput,
    plan: SourcePlan,
    max_label_chars: int,
    normalize: Normalize,
) -> InkTexts:
    """Find label, writer and split of one ink, whose path inside the input `item` is `path`.

    Raises UnusableInkError: NO_LABEL, BAD_LABEL or NO_SPLIT.
    """
    names = plan.names_for(item.dataset)
    label, normalized_label = read_label(
        annotations, names.labels, max_label_chars=max_label_chars, normalize=normalize
    )
    writer = known_writer(_first(annotations, names.writers))
    facts = InkFacts(path=path, annotations=annotations, writer=writer, normalized_label=normalized_label)
    split = require_split(item.rule, facts)
    return InkTexts(split=split, label=label, normalized_label=normalized_label, writer=writer)


def read_label(
    annotations: Mapping[str, str], names: Sequence[str], *, max_label_chars: int, normalize: Normalize
) -> tuple[str, str]:
    """Return the label as it is and normalised. Raises UnusableInkError: NO_LABEL or BAD_LABEL."""
    label = _first(annotations, names)
    if label is None:
        present = ", ".join(sorted(annotations)) or "no annotation"
        raise UnusableInkError(Reason.NO_LABEL, f"no annotation {' or '.join(names)}; the ink has {present}")
    if len(label) > max_label_chars:
        raise UnusableInkError(Reason.BAD_LABEL, f"{len(label)} characters, at most {max_label_chars} are allowed")
    normalized_label = normalize(label)
    if not normalized_label:
        raise UnusableInkError(Reason.BAD_LABEL, f"nothing is left of {label[:80]!r} once it is normalised")
    return label, normalized_label


def _first(annotations: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((annotations[name] for name in names if name in annotations), None)
