"""What all visitors share: the settings, the model and the examples, each loaded once."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import streamlit as st

from latexify.artifacts.location import location_of
from latexify.serve.demo.examples import Example, find_examples
from latexify.serve.demo.inference import SharedRecognizer
from latexify.trainer.inference.runtime import Runtime

NUM_EXAMPLES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """How the demo works. device, runtime: as in `Recognizer`. threads: of the model. inks: folder or URL of inks."""

    model: Path
    device: str | None
    runtime: Runtime | None
    threads: int
    inks: str

    def to_mapping(self) -> dict[str, Any]:
        """As values that Streamlit hands on to its script."""
        return {
            "model": str(self.model),
            "device": self.device or "",
            "runtime": self.runtime or "",
            "threads": self.threads,
            "inks": self.inks,
        }

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """The settings that `to_mapping` gave."""
        return cls(
            model=Path(values["model"]),
            device=values["device"] or None,
            runtime=values["runtime"] or None,
            threads=values["threads"],
            inks=values["inks"],
        )


@st.cache_resource(show_spinner=False)
def reader_of(settings: DemoSettings) -> SharedRecognizer:
    """The model. Raises LatexifyError where there is none."""
    return SharedRecognizer(settings.model, device=settings.device, runtime=settings.runtime, threads=settings.threads)


@st.cache_resource(show_spinner=False)
def examples_of(settings: DemoSettings) -> list[Example]:
    """The examples. Raises LatexifyError where the inks are not whole."""
    return find_examples(location_of(settings.inks), count=NUM_EXAMPLES)
