"""The packages keep apart: who may import whom, no cycles, and dvc.yaml depends on all code of a stage."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.support.imports import PACKAGES, closure, imports_of, source_files

BASE = {"common", "artifacts", "fast", "version"}
"""What is below `latexify` itself and may be imported by every package."""

ALLOWED = {
    "shards": set(),
    "pipeline": {"shards"},
    "trainer": {"shards", "pipeline"},
    "eval": {"shards", "trainer", "pipeline"},
    "serve": {"shards", "trainer", "pipeline", "eval"},
    "common": set(),
    "artifacts": {"common"},
    "fast": {"common"},
    "version": set(),
    "params": {"pipeline", "trainer", "eval"},
}
"""The packages that each one may import, besides those of `BASE` and itself."""

ENTRIES = {
    "source": ["latexify.pipeline.source.stage"],
    "ingest": ["latexify.pipeline.ingest.stage"],
    "vocab": ["latexify.pipeline.vocab.stage"],
    "rasterize": ["latexify.pipeline.rasterize.stage"],
    "train": ["latexify.trainer.train", "latexify.eval.predict.calibrate"],
    "predict": ["latexify.eval.predict.stage"],
    "score": ["latexify.eval.score.stage"],
    "report": ["latexify.eval.report.stage"],
}
"""Modules that run each stage of dvc.yaml."""

NO_RESULT = (
    "latexify.common.errors",
    "latexify.common.extras",
    "latexify.common.memory",
    "latexify.common.package_data",  # where models and recipes lie; DVC tracks those that are used by content
    "latexify.common.progress",
    "latexify.common.renamed",  # old names of parameters, which are refused or read as the new ones
    "latexify.version",
)
"""Modules that cannot change what a stage writes, so that no stage depends on them."""


def package_of(module: str) -> str:
    """The part of the project that a module belongs to, such as `trainer`; `` for `latexify` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def modules_of(package: str) -> list[str]:
    """Dotted names of the modules of a package."""
    return [module for module in source_files() if package_of(module) == package]


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    """A shortcut between the halves would make a training machine need cairo, or a rendering machine torch."""
    allowed = ALLOWED[package] | {package, "", *(BASE if package not in BASE else ())}
    wrong = [
        (module, found.name)
        for module in modules_of(package)
        for found in imports_of(module)
        if found.name.split(".")[0] == "latexify" and package_of(found.name) not in allowed
    ]
    assert modules_of(package)
    assert not wrong


def test_eval_imports_only_latex_from_the_pipeline() -> None:
    """The evaluator needs the lexer, the normaliser and a pool of processes, not the offline half."""
    allowed = ("latexify.pipeline.latex", "latexify.pipeline.engine")
    names = {found.name for module in modules_of("eval") for found in imports_of(module)}
    assert not {name for name in names if name.startswith("latexify.pipeline") and not name.startswith(allowed)}


def test_the_trainer_imports_only_the_grammar_from_the_pipeline() -> None:
    """It must know which labels can be written, not how inks are read and drawn."""
    names = {found.name for module in modules_of("trainer") for found in imports_of(module)}
    allowed = ("latexify.pipeline.grammar", "latexify.pipeline.latex")
    used = {name for name in names if name.startswith("latexify.pipeline")}
    assert used
    assert not {name for name in used if not name.startswith(allowed)}


@pytest.mark.parametrize("package", ["pipeline", "shards", "common", "artifacts", "fast"])
def test_the_offline_half_does_not_import_torch(package: str) -> None:
    """A rendering machine has no GPU stack."""
    users = {m for m in modules_of(package) for found in imports_of(m) if found.name.split(".")[0] == "torch"}
    assert users <= {"latexify.fast.onednn"}  # imported by the trainer only


def test_only_drawing_imports_cairo() -> None:
    """All other code runs on machines without cairo."""
    users = {module for module in source_files() for found in imports_of(module) if found.name.split(".")[0] == "cairo"}
    assert users == {"latexify.fast.cairo_path", "latexify.pipeline.drawing.draw"}


def test_the_rule_sees_imports_in_functions_and_of_modules_by_name() -> None:
    """A check that finds nothing because it reads nothing would pass for ever."""
    names = {found.name: found.lazy for found in imports_of("latexify.cli.stages")}
    assert names["latexify.pipeline.ingest.stage"]
    assert not names["latexify.cli.options"]
    assert "latexify.pipeline.ingest.stage" in closure(["latexify.cli.app"], lazy=True)
    assert "latexify.pipeline.ingest.stage" not in closure(["latexify.cli.app"], lazy=False)


def test_no_import_cycles() -> None:
    """Of modules that import each other, which one may be imported first is a matter of luck."""
    graph = {
        module: {found.name for found in imports_of(module) if not found.typing and found.name in source_files()}
        for module in source_files()
    }
    assert not [sorted(part) for part in strongly_connected(graph) if len(part) > 1]


def strongly_connected(graph: dict[str, set[str]]) -> Iterator[set[str]]:
    """Tarjan's algorithm: the strongly connected components of a graph."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[set[str]]:
        index[node] = low[node] = len(index)
        stack.append(node)
        for child in graph[node]:
            if child not in index:
                yield from visit(child)
                low[node] = min(low[node], low[child])
            elif child in stack:
                low[node] = min(low[node], index[child])
        if low[node] == index[node]:
            part = {node, *takewhile(lambda other: other != node, reversed(stack))}
            del stack[-len(part) :]
            yield part

    for node in graph:
        if node not in index:
            yield from visit(node)


def test_a_cycle_would_be_found() -> None:
    """The check above passes only if there is none."""
    parts = list(strongly_connected({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}))
    assert {"b", "c"} in parts
    assert len(parts) == 3


@pytest.fixture(scope="module")
def dependencies(repository: Path) -> dict[str, list[str]]:
    """The folders of code that each stage of dvc.yaml depends on."""
    stages = YAML(typ="safe", pure=True).load((repository / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    code = (*PACKAGES, "latexify")
    return {
        name: [dep for dep in stage["deps"] if dep.split("/")[0] in code and not dep.startswith("data/")]
        for name, stage in stages.items()
        if not stage.get("always_changed")
    }


@pytest.mark.parametrize("stage", ENTRIES)
def test_a_stage_depends_on_all_code_that_it_runs(stage: str, dependencies: dict[str, list[str]]) -> None:
    """Code that DVC does not watch could change a result without its stage running again."""
    watched = tuple(dep if dep.endswith(".py") else f"{dep}/" for dep in dependencies[stage])
    modules = closure(ENTRIES[stage], lazy=True)
    unwatched = {
        source_files()[module]
        for module in modules
        if module not in {"latexify", *NO_RESULT} and not is_marker(module)
        if not source_files()[module].startswith(watched)
    }
    assert not unwatched, sorted(unwatched)


@pytest.mark.parametrize("stage", ENTRIES)
def test_a_stage_depends_on_nothing_that_it_does_not_run(stage: str, dependencies: dict[str, list[str]]) -> None:
    """Each change of such a folder or file would run the stage again for nothing."""
    files = {source_files()[module] for module in closure(ENTRIES[stage], lazy=True)}
    unused = [dep for dep in dependencies[stage] if not any(f"{file}/".startswith(f"{dep}/") for file in files)]
    assert not unused


def test_dvc_depends_on_folders(repository: Path, dependencies: dict[str, list[str]]) -> None:
    """A list of single files is outdated with the next new module; defaults of parameters and few others are files."""
    assert set(dependencies) == set(ENTRIES)
    files = {dep for deps in dependencies.values() for dep in deps if not (repository / dep).is_dir()}
    assert {file for file in files if not file.endswith("/config.py")} <= {
        f"latexify/common/{name}.py" for name in ("edit_counts", "section")
    }


def is_marker(module: str) -> bool:
    """Whether a module is an `__init__.py` that holds no more than a docstring."""
    path = source_files()[module]
    return path.endswith("/__init__.py") and not any(imports_of(module))
