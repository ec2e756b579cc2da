"""Optional packages: the message that says how to install what is missing."""

from typing import Literal

from latexify.common.errors import LatexifyError

Extra = Literal[
    "rasterize",
    "recognize",
    "heic",
    "train",
    "evaluate",
    "publish",
    "serve",
    "demo",
    "onnx",
    "cluster",
    "s3",
    "tensorboard",
    "mlflow",
    "wandb",
    "dvclive",
]


def missing_extra(extra: Extra, *, package: str | None, needed_by: str | None = None) -> LatexifyError:
    """Make the error for a package that is not installed; `needed_by` is what needs it, such as `--backend dask`.

    The name `latexify` is not ours on PyPI, so the message names only what works: an installation from a clone.
    """
    subject = f"{needed_by} needs the package {package}" if needed_by else f"the package {package} is missing"
    return LatexifyError(f"{subject}: run pip install -e '.[{extra}]' in a clone of the project, or make setup")
