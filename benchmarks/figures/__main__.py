"""``make results`` measures the shipped model and writes the tables; ``make results-tables`` only writes the tables."""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.figures.tables import RESULTS_PATH, write_documents
from benchmarks.machine import REPOSITORY
from latexify.common.errors import LatexifyError

TEST_SET = Path("crohme/test2014.tar.xz")


def main() -> None:
    """Parse the arguments, measure if requested, and rewrite the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", action="store_true", help="Only write the tables; measure nothing.")
    options = parser.parse_args()
    try:
        if not options.tables:
            from benchmarks.figures.measure import measure  # noqa: PLC0415  # it imports torch

            _record(measure(_test_set()))
        for path in write_documents(REPOSITORY):
            print(f"{path.relative_to(REPOSITORY)}: tables rewritten")
    except LatexifyError as error:
        sys.exit(f"benchmarks.figures: {error}")


def _test_set() -> Path:
    folders = [Path(os.environ.get("LATEXIFY_REAL_DATA", "data/raw")), REPOSITORY / "data" / "raw"]
    for folder in folders:
        if (folder / TEST_SET).is_file():
            return folder / TEST_SET
    raise LatexifyError(
        f"{TEST_SET} is neither in LATEXIFY_REAL_DATA nor in data/raw: put CROHME's test set of 2014 there "
        "(CONTRIBUTING.md)"
    )


def _record(measured: dict[str, object]) -> None:
    """Write the figures to the JSON file; leave it alone if only date, commit or machine differ."""
    path = REPOSITORY / RESULTS_PATH
    old = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"recorded": []}
    if all(old.get(name) == value for name, value in measured.items() if name != "measured"):
        print(f"{RESULTS_PATH}: the figures are those recorded")
        return
    new = {**measured, "recorded": old["recorded"]}
    path.write_text(json.dumps(new, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{RESULTS_PATH}: new figures written")


if __name__ == "__main__":
    main()
