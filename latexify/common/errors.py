"""The error that users see as one line, and one-line texts of other errors."""


class LatexifyError(ValueError):
    """An error that the user can fix; the message says in one line what failed, where, and how to fix it.

    The command line prints it and exits with code 1. Any other exception is a bug and keeps its traceback.
    """


def one_line(error: object) -> str:
    """Return the text of an error with all white space collapsed, or its type's name if it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text without a final full stop, or its type's name if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(". ")
