"""Files that are installed with the code: recipes and trained models."""

import re
from pathlib import Path

from latexify.common.errors import LatexifyError

PACKAGE = Path(__file__).resolve().parents[1]
RECIPES = PACKAGE / "recipes"
MODELS = PACKAGE / "models"

_MANIFEST_NAME = "manifest.json"
_OUR_FILES = (_MANIFEST_NAME, "latexify.json")
_OWN_FOLDERS = frozenset([".", "..", "models", "data", "runs"])


def list_recipes(folder: Path = RECIPES) -> list[Path]:
    """List the recipe files by name. Raises LatexifyError if none are installed."""
    recipes = sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    if not recipes:
        raise LatexifyError(f"no recipes in {folder}: the installation is incomplete, install latexify again")
    return recipes


def list_models(folder: Path = MODELS) -> list[Path]:
    """List the folders of the installed models by name; empty if there are none."""
    return sorted(path.parent for path in folder.glob(f"*/{_MANIFEST_NAME}"))


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model that is complete, as far as its manifest tells."""
    return (folder / _MANIFEST_NAME).is_file()


def is_plain_trocr(model: Path) -> bool:
    """Whether this is a model as transformers saves it: a folder without a manifest, or a name on the hub.

    A name is taken for a folder that is missing if its first part is a folder here, or one that the project makes.
    """
    if model.is_dir():
        is_ours = any((model / name).exists() for name in _OUR_FILES)
        return (model / "config.json").is_file() and not is_ours
    is_name = re.fullmatch(r"[\w.-]+/[\w.-]+", str(model)) is not None and model.parts[0] not in _OWN_FOLDERS
    return is_name and not model.exists() and not model.parent.is_dir()


def default_model(*, trained_here: Path | None = None, installed: Path = MODELS) -> Path:
    """Choose the model folder to use where none is named.

    Args:
        trained_here: Folder of the model that the project trains. It is taken if it holds a model.
        installed: Folder of the installed models.

    Raises:
        LatexifyError: If there is no model, or there are several installed ones and none was trained here.
    """
    if trained_here is not None and is_model(trained_here):
        return trained_here
    models = list_models(installed)
    if len(models) > 1:
        raise LatexifyError(f"there are several models ({', '.join(map(str, models))}): choose one with --model")
    if models:
        return models[0]
    folders = str(installed) if trained_here is None else f"{trained_here} or {installed}"
    raise LatexifyError(f"there is no model in {folders}: name one with --model, or run `latexify train`")


def resolve_base(base: str, *, parameter: str = "model.base") -> str:
    """Return where the model is that a parameter names.

    A name such as `models/crohme-small` means the folder below the current one or, where there is none (outside a
    clone), the installed model of that name; LatexifyError if there is neither. Everything else is returned unchanged.
    """
    if not base.startswith("models/") or Path(base).is_dir():
        return base
    folder = MODELS / base.removeprefix("models/")
    if folder.parent == MODELS and (folder / _MANIFEST_NAME).is_file():
        return str(folder)
    names = ", ".join(f"models/{path.name}" for path in list_models()) or "none"
    raise LatexifyError(f"{parameter}: no model {base}, neither here nor installed with latexify (installed: {names})")
