"""The tables in the documents: generated from docs/results.json, and identical to it."""

import json
from pathlib import Path

import pytest

from benchmarks.figures.tables import CARD, DEFAULT, RESULTS_PATH, current_documents, write_documents
from latexify.common.errors import LatexifyError


def test_committed_tables_equal_the_recorded_figures(repository: Path) -> None:
    """A figure changed by hand in one document would contradict the others; `make results-tables` repairs it."""
    for path, text in current_documents(repository).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `make results-tables`"


def test_readme_card_and_a_page_show_generated_tables(repository: Path) -> None:
    """Without marks the check above would compare nothing."""
    pages = [path.read_text(encoding="utf-8") for path in (repository / "docs").rglob("*.md")]
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert "<!-- results: headline -->" in readme
    assert "<!-- results: overview -->" in readme
    assert "<!-- results: card-figures -->" in (repository / CARD).read_text(encoding="utf-8")
    assert any("<!-- results: decodings -->" in page for page in pages)


@pytest.fixture
def documents(repository: Path, tmp_path: Path) -> Path:
    """A folder with the recorded figures, a README and a model card."""
    for path in (RESULTS_PATH, CARD):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((repository / path).read_bytes())
    block = "# Title\n\n<!-- results: decodings -->\nold\n<!-- /results -->\n\nText.\n"
    (tmp_path / "README.md").write_text(block, encoding="utf-8")
    return tmp_path


def test_new_figures_reach_all_documents_and_a_second_run_changes_nothing(documents: Path) -> None:
    """Text outside the marks stays; the card's front matter follows, since the Hub shows it."""
    results = json.loads((documents / RESULTS_PATH).read_text(encoding="utf-8"))
    results["decodings"][DEFAULT]["cer"] = {"value": 0.12345, "low": 0.1, "high": 0.2}
    (documents / RESULTS_PATH).write_text(json.dumps(results), encoding="utf-8")
    assert write_documents(documents) == [documents / "README.md", documents / CARD]
    readme, card = ((documents / path).read_text(encoding="utf-8") for path in ("README.md", CARD))
    assert readme.startswith("# Title\n\n<!-- results: decodings -->\n|")
    assert readme.endswith("<!-- /results -->\n\nText.\n")
    assert "12.3 % (10.0 to 20.0)" in readme
    assert "value: 12.35\n" in card or "value: 12.34\n" in card
    assert write_documents(documents) == []


def test_every_figure_says_which_decoding_it_belongs_to(documents: Path) -> None:
    """The greedy error rates with and without the constraint differ by more than a point."""
    write_documents(documents)
    readme = (documents / "README.md").read_text(encoding="utf-8")
    results = json.loads((documents / RESULTS_PATH).read_text(encoding="utf-8"))
    assert DEFAULT in results["decodings"]
    for decoding in results["decodings"]:
        assert f"| {decoding} |" in readme


def test_unknown_tables_are_one_clear_line(documents: Path) -> None:
    """A misspelt mark must not pass as text."""
    (documents / "README.md").write_text("<!-- results: none -->\n<!-- /results -->\n", encoding="utf-8")
    with pytest.raises(LatexifyError, match="there is no table 'none'; there are: overview"):
        write_documents(documents)
