"""The imports of the source code, read from its syntax trees."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from tests.support.repository import REPOSITORY

PACKAGES = ("pipeline", "shards", "trainer", "eval", "serve")
"""Folders at the top level that install below `latexify`."""


@dataclass(frozen=True)
class Import:
    """An import of a module. lazy: inside a function. typing: only under TYPE_CHECKING."""

    name: str
    lazy: bool
    typing: bool


@cache
def source_files() -> dict[str, str]:
    """Path of each module of the package, relative to the repository, by its dotted name."""
    files = {}
    for folder in (*PACKAGES, "latexify"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):  # does not follow links to folders
            relative = path.relative_to(REPOSITORY).as_posix()
            dotted = relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            files[dotted if folder == "latexify" else f"latexify.{dotted}"] = relative
    return files


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """All imports of a module of ours. Names imported from a package of ours are resolved to modules."""
    tree = ast.parse((REPOSITORY / source_files()[module]).read_text(encoding="utf-8"))
    return tuple(_imports(tree.body, lazy=False, typing=False))


def _imports(nodes: Iterable[ast.AST], *, lazy: bool, typing: bool) -> Iterator[Import]:
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in submodules if name in source_files()]
            names = modules if len(modules) == len(submodules) else [node.module, *modules]
        yield from (Import(name, lazy, typing) for name in names)
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, lazy=inside, typing=True)
            yield from _imports(node.orelse, lazy=inside, typing=typing)
        else:
            yield from _imports(ast.iter_child_nodes(node), lazy=inside, typing=typing)


def closure(entries: Iterable[str], *, lazy: bool, without: Iterable[str] = ()) -> set[str]:
    """All modules of ours that are imported, directly or not, by `entries`, which are included.

    Args:
        entries: Dotted names.
        lazy: Whether to follow imports inside functions.
        without: Modules to leave out.
    """
    seen: set[str] = set()
    todo = list(entries)
    while todo:
        module = todo.pop()
        if module in seen or module in without or module not in source_files():
            continue
        seen.add(module)
        todo += [found.name for found in imports_of(module) if not found.typing and (lazy or not found.lazy)]
    return seen


def external(modules: Iterable[str], *, lazy: bool) -> set[str]:
    """First names of all modules of others that these modules of ours import."""
    return {
        found.name.split(".")[0]
        for module in modules
        for found in imports_of(module)
        if not found.typing and (lazy or not found.lazy) and not found.name.startswith("latexify")
    }
