"""The error for a picture that cannot be read."""

from latexify.common.errors import LatexifyError
from latexify.pipeline.inks.ink import Reason


class PictureError(LatexifyError):
    """A picture cannot be read; `reason` says of which kind the problem is."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
