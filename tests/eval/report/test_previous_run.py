"""The comparison with the run before: right where there is one, and never in the way where there is none."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from latexify.eval.report.previous_run import (
    NoPreviousRun,
    PreviousRun,
    changes,
    differences,
    find_previous_run,
    obstacles,
)


def rate(value: float, *, spread: float = 0.02) -> dict[str, float]:
    """A rate with its interval."""
    return {"value": value, "low": value - spread, "high": value + spread}


def score(cer: float, exact: float, **others: Any) -> dict[str, Any]:
    """What metrics/score.json holds of a run; `predictions` differs where the rates do."""
    basics = {"split": "test", "normalizer_version": 2, "num_samples": 500, "num_chars": 7000}
    return {"cer": rate(cer), "exact_match": rate(exact), **basics, "predictions": f"{cer}{exact}", **others}


class Project:
    """A git repository with metrics and parameters, as DVC leaves them."""

    def __init__(self, root: Path) -> None:
        self.metrics = root / "metrics"
        self.metrics.mkdir()
        self.params = root / "params.yaml"
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        """Run git here."""
        who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(self.params.parent), *who, *arguments], check=True, capture_output=True)

    def commit(self, result: str, *, params: str, subject: str) -> None:
        """Commit a run."""
        (self.metrics / "score.json").write_text(result, encoding="utf-8")
        (self.metrics / "train.json").write_text('{"steps": 100}', encoding="utf-8")
        self.params.write_text(params, encoding="utf-8")
        self.git("add", ".")
        self.git("commit", "--quiet", "--allow-empty", "--message", subject)

    def find(self, now: dict[str, Any], *, revision: str | None = "HEAD") -> PreviousRun | NoPreviousRun:
        """The run before."""
        return find_previous_run(
            self.metrics, params_path=self.params, revision=revision, score=now, stages=("train", "vocab")
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty repository."""
    return Project(tmp_path)


def test_the_run_before_is_found_with_its_parameters(project: Project) -> None:
    """After `dvc repro` the metrics in the work tree are new, and those of HEAD are the run before."""
    project.commit(json.dumps(score(0.5, 0.1)), params="seed: 1\n", subject="First <run>")
    found = project.find(score(0.4, 0.2))
    assert isinstance(found, PreviousRun)
    assert found.subject == "First <run>"
    assert found.score["cer"]["value"] == 0.5
    assert found.stages == {"train": {"steps": 100}, "vocab": {}}
    assert found.parameters == {"seed": 1}


def test_a_run_is_not_compared_with_itself(project: Project) -> None:
    """A report made again after its metrics were committed compares with the same run as before."""
    project.commit(json.dumps(score(0.5, 0.1)), params="seed: 1\n", subject="First")
    project.commit(json.dumps(score(0.4, 0.2)), params="seed: 2\n", subject="Second")
    found = project.find(score(0.4, 0.2))
    assert isinstance(found, PreviousRun)
    assert found.subject == "First"


@pytest.mark.parametrize("damage", ["{", "[]", '{"cer": 3, "predictions": "x"}', '{"cer": {"value": "no"}}', "{}"])
def test_metrics_that_are_none_are_passed_over(project: Project, damage: str) -> None:
    """Someone's half-merged score.json in the history must not end a report, nor be shown as a figure."""
    project.commit(json.dumps(score(0.5, 0.1)), params="seed: [\n", subject="First")
    project.commit(damage, params="seed: 2\n", subject="Damaged")
    found = project.find(score(0.4, 0.2))
    assert isinstance(found, PreviousRun)
    assert (found.subject, found.parameters) == ("First", {})


def test_where_there_is_no_earlier_run_the_report_says_why(project: Project) -> None:
    """No commit yet, no metrics in it, an unknown revision, an option instead of one, no wish: all are usual."""
    for revision in ("HEAD", "--help", "no-such-branch"):
        found = project.find(score(0.4, 0.2), revision=revision)
        assert isinstance(found, NoPreviousRun)
        assert "no revision" in found.reason
    project.git("commit", "--quiet", "--allow-empty", "--message", "Nothing yet")
    found = project.find(score(0.4, 0.2))
    assert isinstance(found, NoPreviousRun)
    assert "commit metrics/" in found.reason
    assert isinstance(project.find(score(0.4, 0.2), revision=None), NoPreviousRun)


def test_a_machine_without_git_gets_its_report(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipeline's commands need no git."""
    project.commit(json.dumps(score(0.5, 0.1)), params="", subject="First")
    monkeypatch.setenv("PATH", "/nonexistent")
    assert isinstance(project.find(score(0.4, 0.2)), NoPreviousRun)


def test_a_verdict_needs_intervals_that_do_not_meet() -> None:
    """A change of a point on 500 formulas is luck; error rates are better when smaller, the others when larger."""
    verdicts = {change.title: change.verdict for change in changes(score(0.5, 0.5), score(0.4, 0.4))}
    assert verdicts == {"character error rate": "better", "exact match": "worse"}
    verdicts = {change.title: change.verdict for change in changes(score(0.5, 0.5), score(0.49, 0.5))}
    assert verdicts == {"character error rate": "within the intervals", "exact match": "the same"}


@pytest.mark.parametrize("other", [{"split": "valid"}, {"normalizer_version": 1}, {"num_samples": 3}, {"num_chars": 1}])
def test_scores_of_other_formulas_get_no_verdict(other: dict[str, Any]) -> None:
    """Figures of another test set beside these would look like progress."""
    before = score(0.5, 0.5, **other)
    assert len(obstacles(before, score(0.4, 0.4))) == 1
    assert {change.verdict for change in changes(before, score(0.4, 0.4))} == {"not comparable"}


def test_a_rate_that_one_run_does_not_have_is_left_out() -> None:
    """`score.visual: false` leaves no look, and an older version knew none."""
    before = score(0.5, 0.5, visual=rate(0.7)) | {"cer": {"value": None, "low": None, "high": None}}
    assert [change.title for change in changes(before, score(0.4, 0.4))] == ["exact match"]


def test_only_what_was_set_before_counts_as_changed() -> None:
    """A new version's defaults are nobody's choice."""
    before = {"train": {"max_steps": 100, "old": 1}, "seed": 1}
    now = {"train": {"max_steps": 200, "new": 5}, "seed": 1}
    assert differences(before, now) == [("train.max_steps", 100, 200), ("train.old", 1, None)]
