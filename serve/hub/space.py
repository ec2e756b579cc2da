"""Make a Space: a folder that shows the demo with a published model, on the Hub or wherever there is Docker or Python.

It is a Docker Space (https://huggingface.co/docs/hub/spaces-sdks-docker), as the Hub makes no others of Streamlit. The
package itself is part of it, since nobody can install it from PyPI.
"""

import re
import shutil
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import latexify
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import MODEL
from latexify.common.errors import LatexifyError

EXTRAS = ("recognize", "demo")
HUB = "huggingface-hub>=2"
"""Downloads the model."""
PORT = 8501
GRAPHS = "onnx"
"""As `latexify.trainer.inference.open.ONNX_CONTENT`, whose module needs more than publishing does."""
TEMPLATES = {
    "README.md": "space_readme.md.j2",
    "Dockerfile": "space_dockerfile.j2",
    "app.py": "space_app.py.j2",
}


def make_space(out: Path, *, model: Path, repo: str, revision: str = "main", licence: str | None = None) -> None:
    """Write the folder of a Space; one that is there is replaced.

    Args:
        out: The folder.
        model: Folder of the model that is published. It is not part of the Space, which downloads it when it starts.
        repo: Name of the model's repository on the Hub.
        revision: Its branch.
        licence: Licence of the model, for the Space's front matter.

    Raises:
        LatexifyError: If `out` holds something else, the model is incomplete, or latexify is not installed by pip.
    """
    if out.exists() and any(out.iterdir()) and not (out / "app.py").is_file():
        raise LatexifyError(f"{out} holds something other than a Space: move it away")
    has_graphs = GRAPHS in read_manifest(model, MODEL).content
    facts = {"repo": repo, "revision": revision, "licence": licence, "port": PORT}
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name, template in TEMPLATES.items():
        (out / name).write_text(_render(template, facts), encoding="utf-8")
    needed = requirements(EXTRAS if has_graphs else (*EXTRAS, "train"))
    (out / "requirements.txt").write_text("\n".join([*needed, HUB]) + "\n", encoding="utf-8")
    package = Path(latexify.__file__).resolve().parent
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "models")
    # links to the folders at the top level become folders; `trainer/model` is code, `models` holds the shipped model
    shutil.copytree(package, out / "latexify", ignore=ignored)


def requirements(extras: tuple[str, ...]) -> list[str]:
    """Return what pip must install for some extras, sorted.

    Raises LatexifyError if latexify runs without having been installed.
    """
    try:
        lines = requires("latexify") or []
    except PackageNotFoundError:
        raise LatexifyError(
            "latexify is not installed by pip: run pip install -e . in a clone of the project"
        ) from None
    wanted = re.compile(r'extra == ["\'](?:' + "|".join(extras) + r')["\']')
    chosen = {line.partition(";")[0].strip() for line in lines if "extra ==" not in line or wanted.search(line)}
    return sorted(chosen)


def _render(template: str, facts: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("latexify.serve.hub"),
        autoescape=False,  # noqa: S701  # no HTML
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(template).render(**facts)
