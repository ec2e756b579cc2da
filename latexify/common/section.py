"""The base class of the sections of ``params.yaml``."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of ``params.yaml``: immutable, and strict about keys and types.

    Unknown keys are errors, ``"3"`` is not an integer and ``1`` is not a boolean. An integer is accepted for a float.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
