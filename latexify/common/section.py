"""The base of every section of ``params.yaml``."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """One section of ``params.yaml``: unknown keys and wrong types are errors, values cannot change after validation.

    Strict: ``"3"`` is not an integer and ``1`` is not a boolean; an integer is accepted where a float is asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
