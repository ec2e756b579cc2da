"""The docs name nothing that does not exist, and what README shows works."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from latexify.cli.app import app
from scripts import generate_docs
from tests.support.repository import REPOSITORY

PAGES = sorted(
    path
    for path in [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "models").rglob("*.md")]
    if path.name != "CHANGELOG.md"
)
SOURCES = generate_docs.source_files()
FOLDERS = r"(?:latexify|pipeline|shards|trainer|eval|serve|tests|benchmarks|scripts|docs|models|container)"


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names that a module defines or imports at its top level, and `Class.member` for members of its classes."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
            members = node.body if isinstance(node, ast.ClassDef) else []
            for member in members:
                if isinstance(member, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    names.add(f"{node.name}.{member.name}")
                elif isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name):
                    names.add(f"{node.name}.{member.target.id}")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)


def resolves(dotted: str) -> bool:
    """Whether a dotted name such as `latexify.trainer.loop.step.Stepper` is a package, a module or a name in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        base = REPOSITORY.joinpath(*parts[:end])
        rest = ".".join(parts[end:])
        if base.with_suffix(".py").is_file():
            return not rest or rest in names_in(base.with_suffix(".py"))
        if (base / "__init__.py").is_file() or (base.is_dir() and not rest):
            exported = (base / "__init__.py").read_text(encoding="utf-8") if (base / "__init__.py").is_file() else ""
            return not rest or re.search(rf"\b{re.escape(rest)}\b", exported) is not None
    return False


def dotted_names(text: str) -> Iterator[str]:
    """Dotted names of this project's modules in a text."""
    for match in re.finditer(r"(?<![\w./-])(?:latexify|benchmarks|scripts|tests)(?:\.\w+)+", text):
        name = match[0]
        if name.split(".")[-1] not in {"json", "yaml", "git", "toml", "draft", "lock"}:
            yield name


def paths_in(text: str) -> Iterator[tuple[str, str | None]]:
    """Paths of the repository's files in a text, with the test that is named behind `::`."""
    for match in re.finditer(
        rf"(?<![\w./-])({FOLDERS}(?:/[\w.@-]+)*/[\w-]+\.(?:py|md|sh|png|svg|txt|js|yaml|json))(?!\w)(?:::(\w+))?", text
    ):
        yield match[1], match[2]


def page_id(path: Path) -> str:
    """Name a page in the list of tests."""
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_files_and_tests_exist(page: Path) -> None:
    """A reader who looks for a file that was moved does not find it."""
    last, missing = None, []
    text = page.read_text(encoding="utf-8")
    for path, test in paths_in(text):
        if re.search(r"NAME|FILE", path):  # a placeholder
            continue
        last = REPOSITORY / path
        if not last.exists() or (test and test not in names_in(last)):
            missing.append((path, test))
    for match in re.finditer(r"`((?:tests/[\w/]+\.py)|…)::(\w+)`", text):
        last = REPOSITORY / match[1] if match[1] != "…" else last
        if last is None or not last.exists() or match[2] not in names_in(last):
            missing.append((match[1], match[2]))
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_named_modules_exist(page: Path) -> None:
    """A dotted name in the docs can be imported."""
    assert not [name for name in dotted_names(page.read_text(encoding="utf-8")) if not resolves(name)]


def test_modules_named_in_the_code_exist() -> None:
    """Docstrings and comments lead to modules that exist, too."""
    missing = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                missing += [(path.name, name) for name in dotted_names(node.value) if not resolves(name)]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link is a file, and its anchor a heading of it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_commands_in_the_docs_exist() -> None:
    """Every `latexify …` line of the docs names a command and options that it has."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    shared = options_of(group)
    wrong = []
    for page in PAGES:
        blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
        for line in re.findall(r"^(?:time )?(?:python -m )?latexify (.*)$", "\n".join(blocks), re.MULTILINE):
            words = line.split("#")[0].split("&&")[0].split(";")[0].split()
            names = [word for word in words if word in group.commands]
            if not names:
                wrong += [(page.name, line)] if words[:1] != ["--help"] and words[:1] != ["--version"] else []
                continue
            command = group.commands[names[0]]
            if isinstance(command, TyperGroup):
                after = words[words.index(names[0]) + 1 :]
                command = next((command.commands[word] for word in after if word in command.commands), command)
            assert isinstance(command, (TyperCommand, TyperGroup))
            known = shared | options_of(command) | {"--help"}
            wrong += [(page.name, line) for word in words if word.startswith("--") and word.split("=")[0] not in known]
    assert not wrong


def options_of(command: TyperCommand | TyperGroup) -> set[str]:
    """Every spelling of a command's options."""
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_code_in_the_readme_runs() -> None:
    """The Python blocks of README, one after another, as a reader would paste them."""
    blocks = re.findall(
        r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert blocks
    code = "\n".join(blocks)
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=240
    )
    assert result.returncode == 0, result.stderr


def test_generated_pages_are_up_to_date() -> None:
    """`make docs` would change nothing."""
    stale = [path.name for path, text in generate_docs.pages().items() if path.read_text(encoding="utf-8") != text]
    assert not stale, "run `make docs`"
