"""The account of a test set: what became of every input."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from latexify.pipeline.inks.ink import Rejection

EXAMPLES_SHOWN = 1  # rejections of each reason that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Numbers of inputs: each is scored, or rejected with a reason."""

    num_scored: int
    rejections: Sequence[Rejection] = ()
    noun: str = "inks"  # what the inputs are
    others: Mapping[str, int] = field(default_factory=dict)  # files that are no inks, by suffix

    @property
    def num_inputs(self) -> int:
        """Return the number of inks, rejected ones included."""
        return self.num_scored + len(self.rejections)

    @property
    def rejected(self) -> dict[str, int]:
        """Return the number of rejected inks by reason, the most frequent first."""
        return dict(Counter(str(rejection.reason) for rejection in self.rejections).most_common())

    def metrics(self, split: str) -> dict[str, Any]:
        """Return the account as the report shows it."""
        return {"inputs": self.num_inputs, "samples": {split: self.num_scored}, "rejected": self.rejected}

    def lines(self) -> list[str]:
        """Describe the account: a line of counts, and one for each reason with an example."""
        lines = [f"{self.num_scored:,} of {self.num_inputs:,} {self.noun} are evaluated"]
        for reason, count in self.rejected.items():
            first = next(rejection for rejection in self.rejections if rejection.reason == reason)
            lines.append(f"left out: {count:,} x {reason}, such as {first.source}: {first.detail}")
        if self.others:
            kinds = ", ".join(f"{suffix} ({count:,})" for suffix, count in sorted(self.others.items()))
            lines.append(f"not looked at, because they are no {self.noun}: {kinds}")
        return lines
