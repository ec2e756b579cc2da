"""The extras of pyproject.toml: each half of the project installs and runs without the other."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.imports import closure, external, source_files

ENTRIES = {
    "rasterize": [
        "latexify.pipeline.source.stage",
        "latexify.pipeline.ingest.stage",
        "latexify.pipeline.vocab.stage",
        "latexify.pipeline.rasterize.stage",
        "latexify.pipeline.synthesis.composed.compose",
        "latexify.pipeline.inspect.inspect",
        "latexify.shards.verify.verify",
    ],
    "recognize": ["latexify.serve.recognizer", "latexify.serve.files", "latexify.pipeline.image.trace"],
    "train": ["latexify.trainer.train", "latexify.eval.predict.calibrate"],
    "evaluate": [
        "latexify.eval.predict.stage",
        "latexify.eval.predict.calibrate",
        "latexify.eval.score.stage",
        "latexify.eval.report.stage",
        "latexify.eval.compare.files",
    ],
    "publish": ["latexify.serve.hub.publish", "latexify.serve.hub.card"],
    "serve": ["latexify.serve.http.server"],
    "demo": ["latexify.serve.demo.server", "latexify.serve.demo.page"],
}
"""The modules that commands of each extra import."""

TOGETHER = {"serve": ["recognize"], "demo": ["recognize"]}
"""Extras that are installed with another one."""

DISTRIBUTIONS = {
    "PIL": "pillow",
    "cairo": "pycairo",
    "pydantic_core": "pydantic",
    "ruamel": "ruamel-yaml",
    "upath": "universal-pathlib",
}
"""Distributions whose modules have another name."""


@pytest.fixture(scope="module")
def requirements(repository: Path) -> dict[str, set[str]]:
    """Names of the distributions of the core (``) and of each extra."""
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {"": project["dependencies"], **project["optional-dependencies"]}
    return {extra: {canonical(re.split(r"[\[<>=~!; ]", item)[0]) for item in items} for extra, items in lists.items()}


def canonical(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(modules: set[str]) -> set[str]:
    """Distributions of the modules of others that these modules of ours import when they are imported."""
    names = external(modules, lazy=False) - set(sys.stdlib_module_names)
    return {canonical(DISTRIBUTIONS.get(name, name.replace("HersheyFonts", "hershey-fonts"))) for name in names}


def test_the_core_has_all_that_help_needs(requirements: dict[str, set[str]]) -> None:
    """`latexify --help` and `latexify recipe` work without any extra."""
    modules = closure(["latexify.cli.app", "latexify.artifacts.files"], lazy=False)
    assert distributions(modules) <= requirements[""]
    assert not {"torch", "transformers", "pyarrow", "pycairo", "dvc", "matplotlib"} & requirements[""]


@pytest.mark.parametrize("extra", ENTRIES)
def test_an_extra_has_all_that_its_commands_import(extra: str, requirements: dict[str, set[str]]) -> None:
    """A missing package would be found by the user."""
    assert not [module for module in ENTRIES[extra] if module not in source_files()]
    has = requirements[""].union(*(requirements[name] for name in (extra, *TOGETHER.get(extra, []))))
    assert distributions(closure(ENTRIES[extra], lazy=False)) - has == set()


@pytest.mark.parametrize(
    ("extra", "absent"),
    [
        ("rasterize", {"torch", "matplotlib"}),
        ("recognize", {"torch", "transformers", "pyarrow", "tokenizers", "matplotlib"}),
        ("train", {"pycairo", "lxml", "hershey-fonts", "matplotlib", "dvc"}),
        ("evaluate", {"pycairo", "lxml", "hershey-fonts", "dvc"}),
    ],
)
def test_an_extra_leaves_out_what_the_other_half_needs(
    extra: str, absent: set[str], requirements: dict[str, set[str]]
) -> None:
    """A rendering machine needs no GPU stack, a training machine no cairo."""
    assert not absent & (requirements[""] | requirements[extra])


BLOCK = """
import sys
class Without:
    def __init__(self, finder):
        self._finder = finder
    def __getattr__(self, name):
        return getattr(self._finder, name)
    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {blocked!r} else self._finder.find_spec(name, path, target)
sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""


def run_without(blocked: set[str], program: str, *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in which these packages cannot be imported."""
    command = [sys.executable, "-c", BLOCK.format(blocked=blocked) + program]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_shards_are_drawn_without_torch(tmp_path: Path) -> None:
    """The extra `rasterize` does not bring it."""
    (tmp_path / "params.yaml").write_text(
        "synthetic: {num_train: 6, num_valid: 3, num_test: 3, num_writers: 3}\n", encoding="utf-8"
    )
    stages = """
from latexify.cli.app import app
for stage in (["source", "--jobs", "1"], ["ingest", "--backend", "threading"], ["vocab"],
              ["rasterize", "--backend", "threading"], ["verify", "--backend", "threading"]):
    app(stage, standalone_mode=False)
"""
    done = run_without({"torch", "matplotlib"}, stages, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "data/shards/manifest.json").is_file()


def test_training_imports_without_cairo(tmp_path: Path) -> None:
    """The extra `train` brings no cairo."""
    program = "from latexify.trainer import train\nfrom latexify.eval.predict import calibrate"
    done = run_without({"cairo", "lxml", "HersheyFonts", "matplotlib"}, program, folder=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "blocked", "extra"),
    [
        (["train"], "transformers", "train"),
        (["ingest"], "lxml", "rasterize"),
        (["recognize", "x.inkml"], "cairo", "recognize"),
        (["serve"], "fastapi", "serve"),
        (["report"], "jinja2", "evaluate"),
        (["publish", "x"], "huggingface_hub", "publish"),
    ],
)
def test_a_missing_package_names_the_extra(arguments: list[str], blocked: str, extra: str, tmp_path: Path) -> None:
    """The hint must be a command that works: `latexify` on PyPI is not this project."""
    (tmp_path / "params.yaml").write_text("{}\n", encoding="utf-8")
    program = f"sys.argv = ['latexify', *{arguments!r}]\nfrom latexify.cli.app import main\nmain()"
    done = run_without({blocked}, program, folder=tmp_path)
    assert done.returncode == 1
    assert f"the package {blocked} is missing" in done.stderr
    assert f"pip install -e '.[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_message_names_a_project_of_pypi(repository: Path) -> None:
    """`pip install latexify[serve]` would install whatever somebody puts there."""
    texts = {path: (repository / path).read_text(encoding="utf-8") for path in source_files().values()}
    assert not [path for path, text in texts.items() if re.search(r"pip install '?\"?latexify", text)]


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif("LATEXIFY_TEST_EXTRAS" not in os.environ, reason="LATEXIFY_TEST_EXTRAS is not set: no downloads")
@pytest.mark.parametrize("extra", ["rasterize", "recognize"])
def test_an_installed_extra_works(extra: str, tmp_path: Path) -> None:
    """The environments that users have, made by pip; their sizes are printed."""
    from tests.support.handwriting import inkml
    from tests.support.wheels import build_wheel, copy_checkout

    wheel = build_wheel(copy_checkout(tmp_path / "checkout"), tmp_path / "dist")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    programs = tmp_path / "venv/bin"
    subprocess.run([programs / "pip", "install", "--quiet", f"latexify[{extra}] @ {wheel.as_uri()}"], check=True)
    size = subprocess.run(["du", "-sm", tmp_path / "venv/lib"], capture_output=True, text=True, check=True).stdout
    print(f"{extra}: {size.split()[0]} MB")  # noqa: T201  # the figure for the ADR
    installed = subprocess.run([programs / "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"^(torch|matplotlib)==", installed, re.MULTILINE)
    (tmp_path / "params.yaml").write_text(
        "synthetic: {num_train: 6, num_valid: 3, num_test: 3, num_writers: 3}\n", encoding="utf-8"
    )
    (tmp_path / "ink.inkml").write_bytes(inkml())
    commands = {
        "rasterize": [["source"], ["ingest"], ["vocab"], ["rasterize"], ["verify"]],
        "recognize": [["recognize", "ink.inkml"]],
    }
    for command in commands[extra]:
        subprocess.run([programs / "latexify", *command], cwd=tmp_path, check=True)
