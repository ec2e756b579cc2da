"""The base class of the sections of ``params.yaml``."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Later:
    """Marks a parameter that is younger than artifacts which still hold: its default is what they were made with."""


class Section(BaseModel):
    """One section of ``params.yaml``: immutable, and strict about keys and types.

    Unknown keys are errors, ``"3"`` is not an integer and ``1`` is not a boolean. An integer is accepted for a float.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def identity(self) -> dict[str, Any]:
        """Return the values for a fingerprint, which must not change because a parameter was added to the project."""
        values: dict[str, Any] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if not (value == field.default and any(isinstance(mark, Later) for mark in field.metadata)):
                values[name] = value.identity() if isinstance(value, Section) else value
        return values
