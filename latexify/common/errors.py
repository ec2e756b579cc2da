"""The one error family that reaches a person as a single line."""


class LatexifyError(ValueError):
    """Something the user can mend: the message says what is wrong, where, and how to mend it, in one line.

    The command line prints it without a traceback and exits with code 1. Anything else that is raised is a bug of ours
    and keeps its traceback.
    """
