"""The short version of `make fuzz` and `make kill`: every ruined file a row or a rejection, every kill survived."""

import os
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import wait
from pathlib import Path
from random import Random

import pytest

from benchmarks.destroy import kill, workspace
from benchmarks.destroy.batches import FORMS, run_batches
from benchmarks.destroy.checks import ROW, SECRET, Checker
from benchmarks.destroy.corpus import sound_inks
from benchmarks.destroy.damage import Mutant
from benchmarks.destroy.mutations import SHARES, mutant, mutants
from benchmarks.destroy.watch import MAX_FILE_S, MEMORY_FOLDER, Lures, fuzz
from latexify.pipeline.inkml.document import parse_inkml
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.latex import normalize

NUM_FILES = 3000
HEAVY = frozenset({"giants within the limit", "50 MB"})


@pytest.fixture(scope="module")
def sound() -> list[bytes]:
    """The files that are ruined; the same on every machine."""
    return sound_inks()


@pytest.fixture
def checker() -> Iterator[Checker]:
    """A checker that writes into memory."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        yield Checker(folder=Path(folder))


def test_sound_files_become_rows(sound: list[bytes], checker: Checker) -> None:
    """Were they rejected, nothing that is made of them could be lost."""
    for data in sound:
        checked, _ = checker.check(Mutant(data=data, expected="row"))
        assert checked.outcome == ROW
        assert not checked.problems


def test_every_ruined_file_becomes_a_row_or_a_rejection(sound: list[bytes], checker: Checker) -> None:
    """One file of a million that crashes, hangs, loses strokes or breaks the schema stops or spoils a dataset."""
    outcomes: Counter[str] = Counter()
    for kind, number, made in mutants(NUM_FILES, seed=2, sound=sound, without=HEAVY):
        checked, _ = checker.check(made)
        outcomes[checked.outcome] += 1
        assert not checked.problems, f"{kind} {number}"
        assert max(checked.read_s, checked.draw_s) < MAX_FILE_S, f"{kind} {number}"
    assert outcomes.keys() <= {ROW, *(reason.value for reason in Reason)}
    assert min(outcomes[ROW], outcomes.total() - outcomes[ROW]) > NUM_FILES / 10


def test_ruined_files_do_not_touch_one_another(sound: list[bytes], checker: Checker) -> None:
    """The numbers of a chunk are converted together: a broken ink must not take a point from its neighbour."""
    made = [each for _, _, each in mutants(300, seed=3, sound=sound, without=HEAVY)]
    Random(3).shuffle(made)
    alone = [checker.read([f"{number}.inkml"], [each.data]) for number, each in enumerate(made)]
    for start in range(0, len(made), 100):
        assert not checker.check_together(alone[start : start + 100])


def test_nothing_that_a_file_names_is_opened(sound: list[bytes], checker: Checker, tmp_path: Path) -> None:
    """An ink must not be able to read the machine's files or to call an address from within it."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        lures = Lures(file=secret, url=f"http://127.0.0.1:{listener.getsockname()[1]}/ink")
        for number in range(200):
            made = lures.laid_in(mutant("external references", number, seed=1, sound=sound))
            checked, _ = checker.check(made)
            assert not checked.problems, number
        assert not wait([listener], timeout=0), "somebody called"


def test_a_crash_and_a_hang_are_found_and_cost_one_file(
    sound: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A harness that missed the death of its worker would call any run a success."""

    def checked(each: Checker, made: Mutant, *, name: str = "") -> object:
        if made.data == b"die":
            raise SystemExit(3)
        if made.data == b"hang":
            wait([], timeout=60)
        return honest(each, made, name=name)

    def made(_rng: Random, _sound: object) -> Mutant:
        return Mutant(data=next(files))

    honest = Checker.check
    files = iter([b"<ink/>", b"die"])
    monkeypatch.setattr(Checker, "check", checked)
    monkeypatch.setattr("benchmarks.destroy.watch.HANG_S", 1.5)
    monkeypatch.setattr("benchmarks.destroy.watch.counts", lambda num_files: {"truncated": num_files})
    monkeypatch.setitem(SHARES, "truncated", (made, 1))
    lures = Lures(file=tmp_path / "secret", url="http://127.0.0.1:9/")
    # each worker is forked with the same files to come: the second is the one that fails
    for outcome, failing in (("crash", b"die"), ("hang", b"hang")):
        files = iter([b"<ink/>", failing])
        tally = fuzz(2, seed=1, sound=sound, jobs=1, lures=lures)["truncated"]
        assert tally.outcomes == {"no-strokes": 1, outcome: 1}
        assert [problem.split(",")[0] for problem in tally.problems] == [f"1: {outcome}"]


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_archives_of_ruined_files_come_through_all_stages(sound: list[bytes], tmp_path: Path, number: int) -> None:
    """Names that lead out of the archive, links, repeated names: every input is accounted for, every row drawn."""
    (account,) = run_batches(range(number, number + 1), seed=4, sound=sound, folder=tmp_path, num_files=120)
    assert account.form == FORMS[number]
    assert not account.problems
    assert account.num_inputs == account.num_rows + account.num_rejected
    assert account.num_samples > 10


@pytest.mark.parametrize("opening", [b"<trace>", b"<trace><b>", b"<trace type='penUp'>"])
def test_traces_inside_traces_are_refused_at_once(opening: bytes) -> None:
    """Read once for each level that is around it, a file of 8 MB took a minute and 4 GB."""
    depth = 120 if b"<b>" in opening else 240
    closing = b"</b></trace>" if b"<b>" in opening else b"</trace>"
    data = b"<ink>" + opening * depth + b"<trace>" + b"1 2 " * 500_000 + b"</trace>" + closing * depth + b"</ink>"
    with pytest.raises(UnusableInkError) as caught:
        parse_inkml(data, max_file_bytes=8_000_000, max_points=200_000)
    assert caught.value.reason is Reason.BAD_POINTS


def test_markup_inside_a_trace_is_still_read() -> None:
    """Only traces are rejected there: other programs mark single points."""
    parsed = parse_inkml(b"<ink><trace>1 <b>2</b>, 3 4</trace></ink>", max_file_bytes=100, max_points=10)
    assert parsed.strokes[0].tolist() == [[1, 2], [3, 4]]


def test_entities_that_an_unread_dtd_might_declare_are_refused() -> None:
    """They would stand in the label as `&name;`, in place of what they mean."""
    data = b"<!DOCTYPE ink [%more;]><ink><annotation type='truth'>a&name;b</annotation><trace>1 2</trace></ink>"
    with pytest.raises(UnusableInkError) as caught:
        parse_inkml(data, max_file_bytes=1000, max_points=10)
    assert caught.value.reason is Reason.HOSTILE_XML


@pytest.mark.parametrize(
    "label",
    [
        r"\begin{aligned}\over\begin{nosuch}\\\end{aligned}",
        r"\begin{pmatrix}&\over\begin{array}&{}\end{pmatrix}",
        r"\begin{matrix}\rm\end{aligned}\newline\end{matrix}",
        r"\text{{$}$}x",
        r"'_^\Eta\diamonds",
        r"'_'x",
        r"\fbox{$\choose\choose\mathcal$\textbf}",
        r"\xrightarrow\lbrack{\rbrack}&\rbrack",
    ],
)
def test_labels_that_had_two_normal_forms_have_one(label: str) -> None:
    """Found by fuzzing. A label that changes when it is normalised again never equals a prediction of itself."""
    normalized = normalize(label)
    assert normalize(normalized) == normalized


def test_a_text_of_crossed_braces_and_dollars_is_empty() -> None:
    r"""`\text{{$}$}` became `{}`: a row whose label says nothing."""
    assert not normalize(r"\text{{$}$}")


@pytest.mark.slow
def test_killed_runs_end_like_undisturbed_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is switched off must cost the rest of the work, not the shards, nor their bytes."""
    monkeypatch.delenv("LATEXIFY_REAL_DATA", raising=False)
    place = workspace.prepare(tmp_path / "work", num_inks=300)
    stage = workspace.STAGES[0]
    whole = kill.undisturbed(place, stage)
    tally = kill.kill_often(place, stage, num_kills=1, whole=whole, rng=Random(5))
    assert tally.num_identical == tally.num_rounds >= 1
    assert not tally.problems


@pytest.mark.parametrize(("num_redone", "is_fault"), [(workspace.JOBS, False), (workspace.JOBS + 1, True)])
def test_a_run_that_makes_more_again_than_a_kill_costs_is_found(
    tmp_path: Path, *, num_redone: int, is_fault: bool
) -> None:
    """Else a resume that begins from nothing would pass, as its bytes are the same."""
    place, stage = workspace.Workspace(root=tmp_path), workspace.STAGES[1]
    draft, out = place.draft(stage), place.out(stage)
    draft.mkdir(parents=True)
    for number in range(5):
        (draft / f"train-{number:05d}.tar").write_bytes(b"shard %d" % number)
    finished = kill._finished_units(place, stage)
    draft.rename(out)
    for path in sorted(out.iterdir())[:num_redone]:
        os.utime(path, ns=(0, 0))
    tally = kill.Tally(num_rounds=1)
    kill._count_again(place, stage, finished=finished, num_kills=1, tally=tally)
    assert (tally.num_kept, tally.num_redone) == (5 - num_redone, num_redone)
    assert bool(tally.problems) == is_fault
