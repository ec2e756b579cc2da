"""The wheel, in an environment and a folder of its own: what people have who install it."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from latexify.common.package_data import RECIPES
from tests.support.handwriting import inkml
from tests.support.wheels import build_wheel, copy_checkout, install, install_upstream, make_environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    return build_wheel(copy_checkout(folder / "checkout"), folder / "dist")


@pytest.fixture(scope="module")
def site_packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel is installed."""
    site_packages = make_environment(tmp_path_factory.mktemp("environment") / "venv")
    install(wheel, site_packages)
    return site_packages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder, with modules and a package of the names that ours once had."""
    folder = tmp_path_factory.mktemp("user")
    for name in ("params.py", "eval.py", "trainer/__init__.py", "shards.py"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("raise RuntimeError('this is the user's own')\n", encoding="utf-8")
    return folder


def run(site_packages: Path, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the environment in the user's folder."""
    program, *arguments = command
    path = site_packages.parents[2] / "bin" / program
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [path, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_wheel_has_one_top_level_name(wheel: Path) -> None:
    """Eighteen generic names in site-packages would break other packages, or be broken by them."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"latexify"}
    assert [name for name in names if name.endswith("model.safetensors")] == [
        "latexify/models/crohme-small/model.safetensors"
    ], "the weights must be there once"
    for package in ("pipeline", "shards", "trainer", "eval", "serve", "cli", "common", "artifacts", "fast"):
        assert f"latexify/{package}/__init__.py" in names


def test_every_recipe_is_listed(site_packages: Path, folder: Path) -> None:
    """The first wheel listed none, and said nothing."""
    done = run(site_packages, folder, "latexify", "recipe")
    assert done.returncode == 0, done.stderr
    names = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert names == sorted(path.stem for path in RECIPES.glob("*.yaml"))
    assert len(names) >= 7


def test_python_m_latexify_works(site_packages: Path, folder: Path) -> None:
    """Torchrun starts it like this, and puts the user's folder first on the path."""
    done = run(site_packages, folder, "python", "-m", "latexify", "--help")
    assert done.returncode == 0, done.stderr
    assert "rasterize" in done.stdout


def test_an_ink_is_recognised(site_packages: Path, folder: Path) -> None:
    """The model is part of the wheel."""
    (folder / "ink.inkml").write_bytes(inkml())
    done = run(site_packages, folder, "latexify", "recognize", "ink.inkml")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert done.stdout.strip()


def test_a_recipe_becomes_a_parameter_file(site_packages: Path, folder: Path) -> None:
    """Outside a clone there is no params.yaml to begin with, and `models/crohme-small` is the installed model."""
    done = run(site_packages, folder, "latexify", "recipe", "synthetic-demo")
    assert done.returncode == 0, done.stderr
    program = "from latexify.common.package_data import resolve_base; print(resolve_base('models/crohme-small'))"
    done = run(site_packages, folder, "python", "-P", "-c", program)
    assert Path(done.stdout.strip(), "model.safetensors").is_file(), done.stderr


@pytest.mark.parametrize("order", ["theirs last", "ours last", "theirs removed"])
def test_it_works_beside_the_package_of_pypi(order: str, wheel: Path, folder: Path, tmp_path: Path) -> None:
    """`latexify-py` has our import name and replaces our `__init__.py`: nothing that the command needs is in there."""
    site_packages = make_environment(tmp_path / "venv")
    if order == "ours last":
        install_upstream(site_packages)
    install(wheel, site_packages)
    if order != "ours last":
        install_upstream(site_packages)
    if order == "theirs removed":
        (site_packages / "latexify/__init__.py").unlink()  # pip removes the file that both have
    for command in (["latexify", "--version"], ["python", "-m", "latexify", "recipe"]):
        done = run(site_packages, folder, *command)
        assert done.returncode == 0, done.stderr
    (folder / "ink.inkml").write_bytes(inkml())
    done = run(site_packages, folder, "latexify", "recognize", "ink.inkml")
    assert done.returncode == 0, done.stderr
