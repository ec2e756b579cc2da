"""The project's wheel, and virtual environments to try it in."""

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

from tests.support.repository import REPOSITORY

UPSTREAM = {
    "latexify/__init__.py": "from latexify.frontend import function\n",
    "latexify/frontend.py": "def function():\n    return 'their code'\n",
    "latexify_py-0.4.4.dist-info/METADATA": "Metadata-Version: 2.1\nName: latexify-py\nVersion: 0.4.4\n",
}
"""What matters of PyPI's `latexify-py`, which has our import name."""


def copy_checkout(folder: Path) -> Path:
    """Copy what git tracks or would track, links included, because a build writes into the folder that it builds."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    present = [name for name in names.splitlines() if (REPOSITORY / name).exists() or (REPOSITORY / name).is_symlink()]
    folder.mkdir(parents=True)
    pack = subprocess.run(
        ["tar", "--create", "--files-from=-"],
        cwd=REPOSITORY,
        input="\n".join(present).encode(),
        capture_output=True,
        check=True,
    )
    subprocess.run(["tar", "--extract"], cwd=folder, input=pack.stdout, check=True)
    return folder


def build_wheel(checkout: Path, out: Path) -> Path:
    """Build the wheel without a network, with the setuptools of this environment."""
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir"]
    subprocess.run([*command, out, checkout], check=True, capture_output=True, text=True)
    (wheel,) = out.glob("*.whl")
    return wheel


def make_environment(folder: Path) -> Path:
    """Make an environment that has the packages of this one, but not the project; returns its site-packages."""
    venv.create(folder, with_pip=False, symlinks=True)
    site_packages = folder / "lib" / f"python{sysconfig.get_python_version()}" / "site-packages"
    shared = [path for path in sys.path if path.endswith("site-packages")]
    # as plain entries: the .pth files in those folders, which would bring the checkout, are not read
    (site_packages / "shared.pth").write_text("\n".join(shared) + "\n", encoding="utf-8")
    return site_packages


def install(wheel: Path, site_packages: Path) -> Path:
    """Install as pip does: unpack the files, and write the console script, whose path is returned."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    folder = site_packages.parents[2] / "bin"
    script = folder / "latexify"
    text = f"#!{folder / 'python'}\nimport sys\nfrom latexify.cli.app import main\nsys.exit(main())\n"
    script.write_text(text, encoding="utf-8")
    script.chmod(0o755)
    return script


def install_upstream(site_packages: Path) -> None:
    """Install the package of PyPI that has our import name, over what is there."""
    for name, text in UPSTREAM.items():
        path = site_packages / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
