"""A copy of the repository under git, in which tests run DVC."""

import copy
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

MINIATURE = {
    "synthetic": {"num_train": 240, "num_valid": 24, "num_test": 24, "num_writers": 30, "max_tokens": 5},
    "rasterize": {"samples_per_shard": 100},
    "train": {"max_steps": 12, "warmup_steps": 2, "validate_steps": 6, "validate_samples": 16, "checkpoint_steps": 6},
    "predict": {"max_new_tokens": 16},
    "score": {"bootstrap_samples": 100},
    "report": {"num_samples": 2},
}


class Project:
    """A copy of the repository's tracked files under git, with a miniature parameter file."""

    def __init__(self, folder: Path, repository: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        listed = self.git("-C", str(repository), "ls-files", "--cached", "--others", "--exclude-standard", "-z")
        for name in filter(None, listed.split("\0")):
            if (repository / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes((repository / name).read_bytes())
        self.set(MINIATURE)
        self.git("init", "--quiet")
        self.commit()

    def git(self, *arguments: str) -> str:
        """Run git; returns what it printed."""
        return subprocess.run(
            ["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=60
        ).stdout

    def commit(self) -> None:
        """Commit all that git does not ignore."""
        self.git("add", "--all")
        self.git("-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "--quiet", "-m", "copy")

    def clone(self, folder: Path) -> "Project":
        """Return a clone of what was committed, with nothing of what git ignores."""
        self.git("clone", "--quiet", str(self.folder), str(folder))
        other = copy.copy(self)
        other.folder = folder
        return other

    def set(self, changes: Mapping[str, Mapping[str, object]]) -> None:
        """Change parameters in params.yaml."""
        path, yaml = self.folder / "params.yaml", YAML()
        params = yaml.load(path.read_text(encoding="utf-8"))
        for section, values in changes.items():
            params[section].update(values)
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(params, file)

    def set_top(self, name: str, value: object) -> None:
        """Change a parameter of no section."""
        path, yaml = self.folder / "params.yaml", YAML()
        params = yaml.load(path.read_text(encoding="utf-8"))
        params[name] = value
        with path.open("w", encoding="utf-8") as file:
            yaml.dump(params, file)

    def dvc(self, *arguments: str, timeout_s: float = 600, code: int = 0) -> str:
        """Run dvc, with this interpreter's commands first on the path; returns what it printed."""
        binaries = str(Path(sys.executable).parent)
        environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "2"}
        environment.pop("MAKEFLAGS", None)
        result = subprocess.run(
            [f"{binaries}/dvc", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert (result.returncode != 0) == (code != 0), result.stdout + result.stderr
        return result.stdout + result.stderr

    def stages_to_run(self) -> list[str]:
        """Stages besides `inputs` that `dvc repro` would run now, in order, for the inputs that were noted last."""
        return stages_run(self.dvc("repro", "--dry"))


def stages_run(output: str) -> list[str]:
    """Stages that DVC ran, in order, besides `inputs`, which always runs."""
    names = [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]
    return [name for name in names if name != "inputs"]
