"""The previous run, from git: DVC commits metrics and parameters as plain files."""

import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from latexify.eval.metrics.registry import METRICS

COMMITS_SEARCHED = 50
MUST_AGREE = {"split": "split", "normalizer_version": "normaliser", "num_samples": "number of formulas"}
"""Values that two scores must share to be compared, with their titles. `num_chars` is compared, too."""
_ENDS = ("value", "low", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousRun:
    """The committed files of a run."""

    commit: str
    date: str
    subject: str
    score: Mapping[str, Any]
    stages: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # metrics by stage
    parameters: Mapping[str, Any] = field(default_factory=dict)  # the values that params.yaml set


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPreviousRun:
    """There is no run to compare with; `reason` says why."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A rate before and now."""

    title: str
    before: Mapping[str, float]
    now: Mapping[str, float]
    verdict: str  # `better`, `worse`, `the same`, `within the intervals` or `not comparable`


class _GitError(Exception):
    """git is missing, or the command failed."""


def find_previous_run(
    metrics_folder: Path, *, params_path: Path, revision: str | None, score: Mapping[str, Any], stages: Sequence[str]
) -> PreviousRun | NoPreviousRun:
    """Find the newest run committed up to `revision` whose predictions differ from those of `score`.

    Its metrics of `stages` are read too, if they were committed. Anything missing (git, a repository, the revision, its
    metrics) is a reason rather than an error.
    """
    if revision is None:
        return NoPreviousRun(reason="report.compare_with is null")
    try:
        commit = _git(metrics_folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        options = (f"--max-count={COMMITS_SEARCHED}", "--format=%H%x09%cs%x09%s")
        history = _git(metrics_folder, "log", *options, commit.strip(), "--", "score.json")
    except _GitError:
        return NoPreviousRun(reason=f"git has no revision {revision} of this project")
    for line in history.splitlines():
        commit, date, subject = line.split("\t", 2)
        previous = _mapping_at(metrics_folder, commit, "score.json")
        if _is_score(previous) and previous.get("predictions") != score.get("predictions"):
            return PreviousRun(
                commit=commit,
                date=date,
                subject=subject,
                score=previous,
                stages={stage: _mapping_at(metrics_folder, commit, f"{stage}.json") for stage in stages},
                parameters=_mapping_at(params_path.parent, commit, params_path.name),
            )
    return NoPreviousRun(
        reason="no metrics of another run are committed; commit metrics/ and dvc.lock after a run, and the next "
        "report will compare with it"
    )


def _git(folder: Path, *arguments: str) -> str:
    """The output of a git command in the repository of `folder`."""
    command = ["git", "-C", str(folder), *arguments]
    try:
        # git is found on PATH, as DVC finds it; revisions come after --end-of-options
        done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise _GitError from error
    return done.stdout.decode("utf-8", errors="replace")


def _mapping_at(folder: Path, commit: str, name: str) -> dict[str, Any]:
    """The JSON or YAML mapping in `folder`/`name` at a commit; empty if it is missing or not a mapping."""
    parse: Callable[[str], Any] = json.loads if name.endswith(".json") else YAML(typ="safe", pure=True).load
    try:
        content = parse(_git(folder, "show", f"{commit}:./{name}"))
    except (_GitError, ValueError, YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_score(content: Mapping[str, Any]) -> bool:
    """Whether its rates have the right form: another version or another project may have written the file."""
    rates = [content[metric.name] for metric in METRICS if metric.name in content]
    return bool(rates) and all(
        isinstance(rate, dict) and all(isinstance(rate.get(end, 0.0), int | float | None) for end in _ENDS)
        for rate in rates
    )


def obstacles(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """List the reasons why two scores cannot be compared; empty if they can."""
    reasons = [
        f"{title}: {before.get(name)}, now {now.get(name)}"
        for name, title in MUST_AGREE.items()
        if before.get(name) != now.get(name)
    ]
    if not reasons and before.get("num_chars") != now.get("num_chars"):
        reasons.append(f"characters of the references: {before.get('num_chars')}, now {now.get('num_chars')}")
    return reasons


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Compare every rate that both scores have, in the order of METRICS."""
    comparable = not obstacles(before, now)
    found = []
    for metric in METRICS:
        old, new = before.get(metric.name), now.get(metric.name)
        if _is_measured(old) and _is_measured(new):
            verdict = _verdict(old, new, lower_is_better=metric.lower_is_better) if comparable else "not comparable"
            found.append(Change(title=metric.title, before=old, now=new, verdict=verdict))
    return found


def _is_measured(rate: Mapping[str, Any] | None) -> TypeGuard[Mapping[str, float]]:
    return rate is not None and all(rate.get(end) is not None for end in _ENDS)


def _verdict(before: Mapping[str, float], now: Mapping[str, float], *, lower_is_better: bool) -> str:
    """A difference counts if the intervals do not overlap: stricter than a test, but needs no old predictions."""
    if before["value"] == now["value"]:
        return "the same"
    if before["low"] <= now["high"] and now["low"] <= before["high"]:
        return "within the intervals"
    return "better" if (now["value"] < before["value"]) == lower_is_better else "worse"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """List (dotted name, before, now) for every value of `before` that changed; None if it no longer exists.

    Values that only `now` has are left out: an older version with fewer parameters did not choose them.
    """
    old, new = dict(flatten(before)), dict(flatten(now))
    return [(name, value, new.get(name)) for name, value in old.items() if value != new.get(name)]


def flatten(tree: Mapping[str, Any], *, prefix: str = "") -> list[tuple[str, Any]]:
    """Flatten nested mappings to (dotted name, value) rows, keeping their order."""
    rows: list[tuple[str, Any]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            rows += flatten(value, prefix=f"{prefix}{name}.") or [(f"{prefix}{name}", "none")]
        else:
            rows.append((f"{prefix}{name}", value))
    return rows
