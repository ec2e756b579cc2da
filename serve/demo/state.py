"""State that all visitors share: the settings, and the model and examples, which are loaded once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import streamlit as st

from latexify.artifacts.location import location_of
from latexify.serve.demo.examples import DemoExample, find_examples
from latexify.serve.demo.inference import SharedRecognizer
from latexify.trainer.inference.runtime import Runtime

NUM_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """How the demo works: see `Recognizer`; `inks` is the folder or URL of the inks that examples are taken from."""

    model: Path
    device: str | None
    runtime: Runtime | None
    threads: int
    inks: str

    def to_mapping(self) -> dict[str, Any]:
        """Return the settings as values that Streamlit passes to its script."""
        return {**asdict(self), "model": str(self.model), "device": self.device or "", "runtime": self.runtime or ""}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Make the settings from the values of `to_mapping`."""
        optional = {name: values[name] or None for name in ("device", "runtime")}
        return cls(**{**values, **optional, "model": Path(values["model"])})


@st.cache_resource(show_spinner=False)
def shared_recognizer(settings: DemoSettings) -> SharedRecognizer:
    """Load the model. Raises LatexifyError if that fails."""
    return SharedRecognizer(settings.model, device=settings.device, runtime=settings.runtime, threads=settings.threads)


@st.cache_resource(show_spinner=False)
def shared_examples(settings: DemoSettings) -> list[DemoExample]:
    """Find the examples. Raises LatexifyError if the inks are damaged."""
    return find_examples(location_of(settings.inks), count=NUM_EXAMPLES)
