"""Every rate that ``latexify score`` reports. docs/guide/add-a-metric.md describes how to add one.

A rate is the sum of one column over the sum of another; a column holds one value per sample. The columns come from
`latexify.eval.metrics.edits.Edits.columns` and `latexify.eval.metrics.visual.Appearance.columns`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A rate: how it is computed, what it is called, and where it is shown."""

    name: str  # its key in metrics/score.json
    numerator: str  # name of the column whose sum is divided
    denominator: str  # name of the column whose sum divides
    title: str  # its name on the terminal, in the report's tables and on the model card
    lower_is_better: bool = False
    counts_samples: bool = False  # whether a sample counts 0 or 1, so that differences have an exact test
    in_slices: bool = False  # whether the tables by length, structure, source and writer have it
    on_card: bool = True  # whether the model card shows it
    hub_name: str | None = None  # its name among the Hugging Face Hub's metrics, if there is one
    heading: str = ""  # of its panel in the report; empty if it has no panel
    explanation: str = ""  # text of that panel; `{name}` stands for the value of another figure


METRICS = (
    Metric(
        name="cer",
        numerator="char_errors",
        denominator="num_chars",
        title="character error rate",
        lower_is_better=True,
        in_slices=True,
        hub_name="cer",
        heading="Character error rate",
        explanation="Character edits divided by reference characters, on normalised LaTeX. {constant_answer}",
    ),
    Metric(
        name="token_cer",
        numerator="token_errors",
        denominator="num_tokens",
        title="token error rate",
        lower_is_better=True,
        in_slices=True,
        heading="Token error rate",
        explanation="The same for LaTeX tokens, spaces included, as MathWriting defines it.",
    ),
    Metric(
        name="exact_match",
        numerator="num_exact",
        denominator="num_samples",
        title="exact match",
        counts_samples=True,
        in_slices=True,
        hub_name="exact_match",
        heading="Exact match",
        explanation="Formulas in which every token is right. Spaces do not count. {field_convention}",
    ),
    Metric(
        name="exact_match_field",
        numerator="num_exact_field",
        denominator="num_samples",
        title="exact match (field)",
        counts_samples=True,
        in_slices=True,
    ),
    Metric(
        name="within_1",
        numerator="num_within_1",
        denominator="num_samples",
        title="at most one error",
        counts_samples=True,
        heading="At most one error",
        explanation="At most two errors: {within_2}. At most three: {within_3}.",
    ),
    *(
        Metric(
            name=f"within_{limit}",
            numerator=f"num_within_{limit}",
            denominator="num_samples",
            title=f"at most {word} errors",
            counts_samples=True,
        )
        for limit, word in ((2, "two"), (3, "three"))
    ),
    *(
        Metric(
            name=f"within_{limit}_field",
            numerator=f"num_within_{limit}_field",
            denominator="num_samples",
            title=f"at most {limit} (field)",
            counts_samples=True,
            on_card=False,
        )
        for limit in (1, 2, 3)
    ),
    Metric(
        name="render_rate",
        numerator="renders",
        denominator="num_samples",
        title="can be typeset",
        counts_samples=True,
        heading="Can be typeset",
        explanation="Predictions that the typesetter accepts as LaTeX.",
    ),
    Metric(
        name="visual",
        numerator="similarity",
        denominator="reference_renders",
        title="looks like it (F1)",
        heading="Visual similarity",
        explanation="How similar prediction and reference look when typeset: F1 of the matched symbols. "
        "Identical: {visual_exact}. {unset_references}",
    ),
    Metric(
        name="visual_exact",
        numerator="looks_same",
        denominator="reference_renders",
        title="looks the same",
        counts_samples=True,
    ),
)
"""All metrics, in the order in which they are shown. One whose columns are missing is left out of a result."""
