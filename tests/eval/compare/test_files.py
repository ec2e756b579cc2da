"""`latexify score FILE …`: any table of predictions, and several of them side by side."""

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from latexify.common.errors import LatexifyError
from latexify.eval.compare.columns import ColumnNames
from latexify.eval.compare.files import format_result, score_files
from latexify.eval.compare.text_form import TextForm
from latexify.eval.config import ScoreParams
from latexify.eval.metrics.registry import METRICS
from latexify.pipeline.latex import NORMALIZER_VERSION

PARAMS = ScoreParams(bootstrap_samples=100)
TRUE = [r"x_{1}^{2}", r"\frac{a}{b}", "12", 'y,"z"']
READ = [r"x^2_1", r"\frac{a}{c}", "12", ""]


def write_table(path: Path, columns: dict[str, Any]) -> Path:
    """The columns in the format that the suffix names."""
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    elif path.suffix in {".csv", ".tsv"}:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(columns), delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".tsv", ".json", ".jsonl"])
def test_any_table_gets_the_same_score(tmp_path: Path, suffix: str) -> None:
    """The format of the file is not a property of the model."""
    file = write_table(tmp_path / f"other{suffix}", {"id": [1, 2, 3, 4], "truth": TRUE, "output": READ})
    result = score_files(PARAMS, files=[file], seed=1, names=ColumnNames(reference="truth", prediction="output"))
    assert (result["num_samples"], result["num_exact"], result["char_errors"]) == (4, 2, 6)
    assert result["normalizer_version"] == NORMALIZER_VERSION


def test_terminal_shows_every_figure(tmp_path: Path) -> None:
    """`latexify score FILE` writes no file: what it prints is all there is."""
    file = write_table(tmp_path / "a.csv", {"reference": TRUE, "prediction": READ})
    text = format_result(score_files(PARAMS, files=[file], seed=1))
    assert "4 samples" in text
    assert "exact match             50.0%" in text
    assert "best constant answer" in text


def test_without_normalising_the_text_counts_as_it_stands(tmp_path: Path) -> None:
    """Published figures without normalisation must be reproducible too."""
    file = write_table(tmp_path / "a.csv", {"reference": TRUE, "prediction": READ})
    result = score_files(PARAMS, files=[file], seed=1, form=TextForm(is_normalized=False))
    assert result["num_exact"] == 1
    assert result["normalizer_version"] is None


def test_labels_that_look_like_numbers_or_nulls_stay_text(tmp_path: Path) -> None:
    """CSV readers guess: `007` would become 7 and `NA` nothing."""
    file = write_table(tmp_path / "a.csv", {"reference": ["007", "NA", "1e5"], "prediction": ["007", "NA", "1e5"]})
    result = score_files(PARAMS, files=[file], seed=1)
    assert (result["num_exact"], result["num_chars"]) == (3, 8)


def test_a_missing_prediction_counts_as_empty(tmp_path: Path) -> None:
    """A sample that failed must not leave the denominator."""
    file = write_table(tmp_path / "a.jsonl", {"reference": ["ab", "cd"], "prediction": [None, "cd"]})
    assert score_files(PARAMS, files=[file], seed=1)["cer"]["value"] == 0.5


@pytest.mark.parametrize(
    ("name", "columns", "message"),
    [
        ("a.csv", {"truth": ["a"], "guess": ["a"]}, "no column 'reference'; it has: truth, guess"),
        ("a.parquet", {"reference": [1], "prediction": ["a"]}, "'reference' has type int64, expected text"),
        ("a.jsonl", {"reference": ["a", None], "prediction": ["a", "b"]}, "no value in row 2"),
        ("a.csv", {"reference": [" ", ""], "prediction": ["a", "b"]}, "every reference is empty"),
        ("a.txt", {"reference": ["a"], "prediction": ["a"]}, "use .parquet, .csv, .tsv, .json, .jsonl, .ndjson"),
        ("a.parquet", {"reference": pa.array([], pa.string()), "prediction": []}, "has no samples"),
    ],
)
def test_unusable_files_are_one_clear_line(tmp_path: Path, name: str, columns: dict[str, Any], message: str) -> None:
    """A wrong column name is the commonest mistake: say what there is."""
    file = write_table(tmp_path / name, columns)
    with pytest.raises(LatexifyError, match=message) as raised:
        score_files(PARAMS, files=[file], seed=1)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"reference": "a", "prediction": "b"}', "is not an array of objects"),
        ('["a", "b"]', "is not an array of objects"),
        ('{"a": 1}\n{"a": 2}', "is not JSON .* JSON lines need the suffix .jsonl"),
        ("[]", "has no samples"),
        ('[{"gt": "a", "pred": "b", "extra": {"x": [1]}}]', "no column 'reference'; it has: gt, pred, extra"),
        ('[{"reference": "a", "prediction": 1}]', "'prediction' has type int64"),
        ('[{"reference": "a", "prediction": "b"}, {"reference": "c", "prediction": 1}]', "cannot be read"),
        ('[{"reference": "a", "prediction": "b"}, {"prediction": "b"}]', "'reference' has no value in row 2"),
    ],
)
def test_json_of_another_form_is_one_line(tmp_path: Path, content: str, message: str) -> None:
    """Repositories publish arrays, lines and objects, all with the same suffix."""
    (tmp_path / "a.json").write_text(content, encoding="utf-8")
    with pytest.raises(LatexifyError, match=message) as raised:
        score_files(PARAMS, files=[tmp_path / "a.json"], seed=1)
    assert "\n" not in str(raised.value)


def test_arrays_of_other_repositories_are_read(tmp_path: Path) -> None:
    """Uni-MuMER's predictions have columns of their own, some of them nested."""
    rows = [{"img": {"id": i}, "gt": true, "pred": read} for i, (true, read) in enumerate(zip(TRUE, READ, strict=True))]
    (tmp_path / "a_pred.json").write_text(json.dumps(rows), encoding="utf-8")
    names = ColumnNames(reference="gt", prediction="pred")
    assert score_files(PARAMS, files=[tmp_path / "a_pred.json"], seed=1, names=names)["num_exact"] == 2


def test_spaces_between_tokens_are_reported_and_removed_on_request(tmp_path: Path) -> None:
    """Each space is a token that is always right, so the error rate would be about half of what it is."""
    columns = {"reference": [r"\frac { a } { b }"], "prediction": [r"\frac { a } { c }"]}
    file, lines = write_table(tmp_path / "a.json", columns), list[str]()
    options: dict[str, Any] = {"files": [file], "seed": 1, "notify": lines.append}
    spaced = score_files(PARAMS, form=TextForm(is_normalized=False), **options)
    assert spaced["token_cer"]["value"] == pytest.approx(1 / 13)
    [line] = lines
    assert "'reference' and 'prediction' are spaces" in line
    assert "--compact" in line
    compact = score_files(PARAMS, form=TextForm(is_normalized=False, is_compact=True), **options)
    assert compact["token_cer"]["value"] == pytest.approx(1 / 7)
    score_files(PARAMS, **options)
    assert lines == [line], "normalised text has no such spaces"


def test_mathwritings_figure_has_its_tokens_to_the_letter(tmp_path: Path) -> None:
    """`Bmatrix` is one token of ours and sixteen of theirs; nothing is normalised, and spaces count."""
    columns = {
        "reference": [r"\begin{Bmatrix}a\end{Bmatrix} ", "x^2"],
        "prediction": [r"\begin{bmatrix}a\end{bmatrix}", "x^{2}"],
    }
    file = write_table(tmp_path / "a.tsv", columns)
    result = score_files(PARAMS, files=[file], seed=1, form=TextForm(is_mathwriting=True))
    official = [*([r"\begin"], [*"{Bmatrix}"], ["a"], [r"\end"], [*"{Bmatrix}"])]
    assert result["num_tokens"] == sum(map(len, official)) + 3
    assert result["tokens"] == "MathWriting"
    assert result["normalizer"] == "none"
    assert "tokens as MathWriting defines them" in format_result(result)
    assert score_files(PARAMS, files=[file], seed=1, form=TextForm(is_normalized=False))["num_tokens"] == 3 + 3


def test_damaged_and_absent_files_are_errors(tmp_path: Path) -> None:
    """Neither is a bug of ours, so neither gets a traceback."""
    (tmp_path / "a.parquet").write_bytes(b"PAR1 no")
    for name, message in (("a.parquet", "cannot be read"), ("b.csv", "not found")):
        with pytest.raises(LatexifyError, match=message):
            score_files(PARAMS, files=[tmp_path / name], seed=1)


def test_a_single_file_gets_its_tables_on_request(tmp_path: Path) -> None:
    """Which symbols are confused is the first question after the figure."""
    file = write_table(tmp_path / "a.csv", {"key": ["u/1", "u/2", "v/1", "v/2"], "reference": TRUE, "prediction": READ})
    result = score_files(PARAMS, files=[file], seed=1, visual=True, out=tmp_path / "out")
    assert json.loads((tmp_path / "out" / "score.json").read_text(encoding="utf-8")) == result
    assert result["render_rate"]["value"] == 0.75
    names = {path.stem for path in (tmp_path / "out").glob("*.csv")}
    assert names >= {"confusions", "symbols", "error_by_structure", "error_by_source"}


def compare(tmp_path: Path, one: dict[str, Any], two: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Two tables, compared."""
    files = [write_table(tmp_path / "one.parquet", one), write_table(tmp_path / "two.jsonl", two)]
    return score_files(PARAMS, files=files, seed=1, **options)


def test_files_are_joined_by_key(tmp_path: Path) -> None:
    """Another system lists its samples in another order, and in another format."""
    truth = ["a", "bb", "ccc", "dddd"]
    one = {"key": ["1", "2", "3", "4"], "reference": truth, "prediction": ["a", "bx", "ccx", "dddd"]}
    two = {"key": ["4", "3", "2", "1"], "reference": truth[::-1], "prediction": ["dddd", "ccc", "bb", "a"]}
    result = compare(tmp_path, one, two, visual=True)
    assert result["systems"]["two.jsonl"]["cer"]["value"] == 0
    difference = result["differences"]["two.jsonl"]["exact_match"]
    assert difference["value"] == 0.5
    assert 0 <= difference["low"] <= difference["high"] <= 1
    rates = {metric.name for metric in METRICS}
    assert set(result["differences"]["two.jsonl"]) == {*result["systems"]["two.jsonl"]} & rates
    assert {"cer", "token_cer", "exact_match", "within_1", "render_rate", "visual", "visual_exact"} <= rates
    text = format_result(result)
    assert "A  one.parquet" in text
    assert "+50.00 points against A" in text


def test_the_same_predictions_do_not_differ(tmp_path: Path) -> None:
    """A p-value below one for a difference of nothing would be a bug that looks like a result."""
    table = {"reference": TRUE, "prediction": READ}
    for difference in compare(tmp_path, table, table)["differences"]["two.jsonl"].values():
        assert difference == {"value": 0, "low": 0, "high": 0, "p_value": 1}


def test_references_may_be_spelt_differently_if_they_are_normalised(tmp_path: Path) -> None:
    """One team's file holds raw labels, another's normalised ones."""
    one, two = ({"reference": [label], "prediction": ["x"]} for label in ("x^2_1", "x_{1}^{2}"))
    assert "differences" in compare(tmp_path, one, two)
    with pytest.raises(
        LatexifyError, match=r"row 1 has the reference 'x\^2_1' in .*one.parquet and 'x_\{1\}\^\{2\}' in"
    ):
        compare(tmp_path, one, two, form=TextForm(is_normalized=False))


@pytest.mark.parametrize(
    ("two", "message"),
    [
        ({"key": ["1"], "reference": ["a"], "prediction": ["a"]}, "has 2 samples, .*two.jsonl has 1: only predictions"),
        ({"key": ["1", "9"], "reference": ["a", "b"], "prediction": ["a", "b"]}, "lacks 1 of the samples .* '2'"),
        ({"key": ["1", "1"], "reference": ["a", "b"], "prediction": ["a", "b"]}, "'key' has '1' more than once"),
        ({"key": ["1", None], "reference": ["a", "b"], "prediction": ["a", "b"]}, "'key' has no value in row 2"),
        ({"key": ["1", "2"], "reference": ["a", "c"], "prediction": ["a", "b"]}, "sample '2' has the reference 'b'"),
        ({"reference": ["a", "b"], "prediction": ["a", "b"]}, "two.jsonl has no key column"),
    ],
)
def test_files_of_other_samples_are_refused(tmp_path: Path, two: dict[str, Any], message: str) -> None:
    """Rows that do not belong together would give a difference that means nothing."""
    one = {"key": ["1", "2"], "reference": ["a", "b"], "prediction": ["a", "b"]}
    with pytest.raises(LatexifyError, match=message) as raised:
        compare(tmp_path, one, two)
    assert "\n" not in str(raised.value)


def test_a_file_is_not_compared_with_itself(tmp_path: Path) -> None:
    """Its figures would stand under one name."""
    file = write_table(tmp_path / "a.csv", {"reference": ["a"], "prediction": ["a"]})
    with pytest.raises(LatexifyError, match="named twice"):
        score_files(PARAMS, files=[file, file], seed=1)


def test_processes_do_not_change_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a million rows is counted by several processes, in blocks."""
    file = write_table(tmp_path / "a.parquet", {"reference": TRUE * 5, "prediction": READ * 5})
    alone = score_files(PARAMS, files=[file], seed=1)
    monkeypatch.setattr("latexify.eval.compare.files.WORTH_PROCESSES", 1)
    monkeypatch.setattr("latexify.eval.compare.files.PAIRS_AT_ONCE", 3)
    monkeypatch.setattr("latexify.eval.metrics.edits.PAIRS_AT_ONCE", 2)
    assert score_files(PARAMS, files=[file], seed=1, jobs=2) == alone
