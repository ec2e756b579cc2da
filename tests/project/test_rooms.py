"""The rooms keep apart: who may import whom, and who may import torch and cairo."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ALLOWED = {
    "shards": set(),
    "pipeline": {"shards"},
    "trainer": {"shards"},
    "eval": {"shards", "trainer", "pipeline"},
    "serve": {"shards", "trainer", "pipeline", "eval"},
}
LOOKING = {
    "pipeline/inspect",
    "pipeline/vocab/round_trip.py",
    "eval/compare/compare.py",
    "eval/compare/files.py",
    "serve",
}
"""What `verify`, `inspect`, `recognize`, `publish` and `score FILES` consist of: no stage, and no part of one."""


def imports(path: Path) -> Iterator[str]:
    """Dotted names of every module that a source file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_imports(repository: Path, room: str) -> Iterator[tuple[Path, str]]:
    """Every import of every file of a room."""
    for path in sorted((repository / room).rglob("*.py")):
        for name in imports(path):
            yield path, name


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(repository: Path, room: str) -> None:
    """A shortcut between the halves would make a training machine need cairo, or a rendering machine torch."""
    root = {path.stem for path in repository.glob("*.py")}
    forbidden = set(ALLOWED) - ALLOWED[room] - {room} | root
    wrong = [(path.name, name) for path, name in room_imports(repository, room) if name.split(".")[0] in forbidden]
    assert not wrong


def test_eval_takes_only_latex_from_the_pipeline(repository: Path) -> None:
    """The judge needs the lexer and the normaliser, not the offline half."""
    taken = {name for _, name in room_imports(repository, "eval") if name.startswith("pipeline")}
    assert all(name.startswith("latexify.pipeline.latex") or name == "pipeline" for name in taken), taken


@pytest.mark.parametrize("room", ["pipeline", "shards"])
def test_offline_half_needs_no_torch(repository: Path, room: str) -> None:
    """A rendering machine has no GPU stack."""
    assert not [path for path, name in room_imports(repository, room) if name.split(".")[0] == "torch"]


def test_cairo_is_imported_where_inks_are_drawn(repository: Path) -> None:
    """Only drawing needs cairo."""
    users = {
        path.relative_to(repository).as_posix()
        for room in ALLOWED
        for path, name in room_imports(repository, room)
        if name.split(".")[0] == "cairo"
    }
    assert users == {"latexify/fast/cairo_path.py", "pipeline/drawing/draw.py"}


def test_every_module_is_a_dependency_of_a_stage(repository: Path) -> None:
    """Code that DVC does not watch could change a result without its stage running again."""
    stages = YAML(typ="safe", pure=True).load((repository / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    watched = {dependency for stage in stages.values() for dependency in stage["deps"]}
    modules = [
        path.relative_to(repository)
        for room in ALLOWED
        for path in sorted((repository / room).rglob("*.py"))
        if path.name not in {"__init__.py", "config.py"} or path.parent.parent != repository
    ]
    unwatched = [m for m in modules if not names_of(m) & (watched | LOOKING)]
    assert not unwatched


def test_no_stage_uses_what_only_looks(repository: Path) -> None:
    """DVC does not watch these modules: a result that depended on one would not be made anew when it changes."""
    looking = tuple(name.removesuffix(".py").replace("/", ".") for name in LOOKING)
    users = {
        path.relative_to(repository)
        for room in ALLOWED
        for path, name in room_imports(repository, room)
        if name.startswith(looking)
    }
    assert not [path for path in users if not names_of(path) & LOOKING]


def names_of(module: Path) -> set[str]:
    """A module's path and the folders that it is in."""
    return {module.as_posix(), *(parent.as_posix() for parent in module.parents)}
