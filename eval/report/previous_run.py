"""The run before this one, as git has it: DVC keeps metrics and parameters as plain files in commits."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from latexify.eval.metrics.registry import TITLES

COMMITS_SEARCHED = 50
ERROR_RATES = frozenset({"cer", "token_cer"})
"""Rates of which less is better."""
MUST_AGREE = {"split": "split", "normalizer_version": "normaliser", "num_samples": "number of formulas"}
"""What two scores must have in common to be compared, and how a person calls it. `num_chars` says the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousRun:
    """What was committed of a run. stages: metrics by stage; parameters: of params.yaml, as far as they were set."""

    commit: str
    date: str
    subject: str
    score: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPreviousRun:
    """Why there is nothing to compare with."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rate then and now. verdict: `better`, `worse`, `the same`, `within the intervals`, or `not comparable`."""

    title: str
    before: Mapping[str, float]
    now: Mapping[str, float]
    verdict: str


class _GitError(Exception):
    """git is missing, or cannot say it."""


def find_previous_run(
    metrics_folder: Path, *, params_path: Path, revision: str | None, score: Mapping[str, Any], stages: Sequence[str]
) -> PreviousRun | NoPreviousRun:
    """The newest run committed up to `revision` whose predictions are others than those of `score`.

    score: the present metrics/score.json. stages: whose metrics are wanted, where they were committed. Whatever is
    missing (git, a repository, the revision, metrics in it) is a reason, not an error: a report can do without.
    """
    if revision is None:
        return NoPreviousRun(reason="report.compare_with is null, so this run stands alone")
    try:
        commit = _git(metrics_folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        history = _git(
            metrics_folder,
            "log",
            f"--max-count={COMMITS_SEARCHED}",
            "--format=%H%x09%cs%x09%s",
            commit.strip(),
            "--",
            "score.json",
        )
    except _GitError:
        return NoPreviousRun(reason=f"git has no revision {revision} of this project")
    for line in history.splitlines():
        commit, date, subject = line.split("\t", 2)
        then = _json_at(metrics_folder, commit, "score.json")
        if _is_score(then) and then.get("predictions") != score.get("predictions"):
            return PreviousRun(
                commit=commit,
                date=date,
                subject=subject,
                score=then,
                stages={stage: _json_at(metrics_folder, commit, f"{stage}.json") for stage in stages},
                parameters=_yaml_at(params_path.parent, commit, params_path.name),
            )
    return NoPreviousRun(
        reason="no other run's metrics are committed: commit metrics/ and dvc.lock after a run, and the next report "
        "compares with it"
    )


def _git(folder: Path, *arguments: str) -> str:
    """What git answers, in the repository that `folder` is in."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        # found on PATH, as DVC finds it; the arguments are ours, revisions come after --end-of-options
        answer = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise _GitError from error
    return answer.stdout.decode("utf-8", errors="replace")


def _json_at(folder: Path, commit: str, name: str) -> dict[str, Any]:
    """The JSON object that `folder`/`name` was at a commit; empty where it was none, or not there."""
    try:
        content = json.loads(_git(folder, "show", f"{commit}:./{name}"))
    except (_GitError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _yaml_at(folder: Path, commit: str, name: str) -> dict[str, Any]:
    try:
        content = YAML(typ="safe", pure=True).load(_git(folder, "show", f"{commit}:./{name}"))
    except (_GitError, YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_score(content: Mapping[str, Any]) -> bool:
    """Whether all its rates are rates: other versions of this project, or other projects, may have written it."""
    rates = [content[name] for name in TITLES if name in content]
    return bool(rates) and all(
        isinstance(rate, dict) and all(isinstance(rate.get(end, 0.0), int | float | None) for end in _ENDS)
        for rate in rates
    )


_ENDS = ("value", "low", "high")


def obstacles(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What the scores do not have in common, so that their difference says nothing about the models."""
    found = [
        f"{title}: {before.get(name)}, now {now.get(name)}"
        for name, title in MUST_AGREE.items()
        if before.get(name) != now.get(name)
    ]
    if not found and before.get("num_chars") != now.get("num_chars"):
        found.append(f"characters of the references: {before.get('num_chars')}, now {now.get('num_chars')}")
    return found


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Every rate that both scores have, in the order of TITLES."""
    comparable = not obstacles(before, now)
    return [
        Change(
            title=title,
            before=before[name],
            now=now[name],
            verdict=_verdict(before[name], now[name], less_is_better=name in ERROR_RATES)
            if comparable
            else "not comparable",
        )
        for name, title in TITLES.items()
        if _is_measured(before.get(name)) and _is_measured(now.get(name))
    ]


def _is_measured(rate: Mapping[str, float | None] | None) -> bool:
    return rate is not None and all(rate.get(end) is not None for end in _ENDS)


def _verdict(before: Mapping[str, float], now: Mapping[str, float], *, less_is_better: bool) -> str:
    """A difference counts where the intervals do not meet: stricter than a test, and needs no old predictions."""
    if before["value"] == now["value"]:
        return "the same"
    if before["low"] <= now["high"] and now["low"] <= before["high"]:
        return "within the intervals"
    return "better" if (now["value"] < before["value"]) == less_is_better else "worse"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(dotted name, then, now) of every value of `before` that is another now; None where it is no more.

    What `before` does not have is left out: a version that knew fewer parameters did not choose them.
    """
    then, today = dict(flatten(before)), dict(flatten(now))
    return [(name, value, today.get(name)) for name, value in then.items() if value != today.get(name)]


def flatten(tree: Mapping[str, Any], *, prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as (dotted name, value) rows, in their own order."""
    rows: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            rows += flatten(value, prefix=f"{prefix}{name}.") or [(f"{prefix}{name}", "none")]
        else:
            rows.append((f"{prefix}{name}", value))
    return rows
