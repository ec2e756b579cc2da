"""Files that are installed with the code: recipes and trained models."""

from pathlib import Path

from latexify.common.errors import LatexifyError

PACKAGE = Path(__file__).resolve().parents[1]
RECIPES = PACKAGE / "recipes"
MODELS = PACKAGE / "models"

_MANIFEST_NAME = "manifest.json"


def list_recipes(folder: Path = RECIPES) -> list[Path]:
    """List the recipe files by name. Raises LatexifyError if none are installed."""
    recipes = sorted(folder.glob("*.yaml"), key=lambda path: path.stem)
    if not recipes:
        raise LatexifyError(f"no recipes in {folder}: the installation is incomplete, install latexify again")
    return recipes


def list_models(folder: Path = MODELS) -> list[Path]:
    """List the folders of the installed models by name; empty if there are none."""
    return sorted(path.parent for path in folder.glob(f"*/{_MANIFEST_NAME}"))


def resolve_base(base: str) -> str:
    """Return where `model.base` is.

    A name such as `models/crohme-small` means the folder below the current one or, where there is none (outside a
    clone), the installed model of that name; LatexifyError if there is neither. Everything else is returned unchanged.
    """
    if not base.startswith("models/") or Path(base).is_dir():
        return base
    folder = MODELS / base.removeprefix("models/")
    if folder.parent == MODELS and (folder / _MANIFEST_NAME).is_file():
        return str(folder)
    names = ", ".join(f"models/{path.name}" for path in list_models()) or "none"
    raise LatexifyError(f"model.base: no model {base}, neither here nor installed with latexify (installed: {names})")
