"""Every module has its tests at the mirrored path, or a line that says where it is tested."""

from pathlib import Path

from tests.support.imports import source_files


def mirrored(path: str) -> str:
    """The test file of a module: `trainer/loop/step.py` is tested by `tests/trainer/loop/test_step.py`."""
    folder, _, name = path.rpartition("/")
    return f"tests/{folder}/test_{name.removeprefix('__').replace('__.py', '.py')}"


def elsewhere(repository: Path) -> dict[str, str]:
    """The lines of tests/elsewhere.txt: modules and the test files that cover them."""
    lines = (repository / "tests/elsewhere.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split() for line in lines if line.strip() and not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs), "each line is: module test"
    return {pair[0]: pair[1] for pair in pairs}


def modules(repository: Path) -> set[str]:
    """Paths of the modules that hold code, without `__init__.py` files of a docstring."""
    paths = set()
    for path in source_files().values():
        is_marker = path.endswith("/__init__.py") and "import" not in (repository / path).read_text(encoding="utf-8")
        if not is_marker:
            paths.add(path)
    return paths


def test_every_module_has_its_tests(repository: Path) -> None:
    """Who changes a module must find its tests by its path."""
    listed = elsewhere(repository)
    missing = {m for m in modules(repository) if m not in listed and not (repository / mirrored(m)).is_file()}
    assert not sorted(missing)


def test_the_list_of_tests_elsewhere_is_true(repository: Path) -> None:
    """A line for a module that has gone, or a test that has, says nothing."""
    listed = elsewhere(repository)
    assert list(listed) == sorted(listed)
    assert not set(listed) - modules(repository)
    assert not [test for test in listed.values() if not (repository / test).exists()]
    assert not [m for m in listed if (repository / mirrored(m)).is_file()], "tested at the mirrored path: drop the line"
