"""A project that is shared by git and a DVC remote: what a colleague can do in a second clone."""

import io
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3fs

from tests.support.cluster_processes import s3_server
from tests.support.dvc_project import Project, stages_run

OFFLINE = "rasterize"  # the last stage that most tests run: training would take minutes each time
LABELS = [f"{a}{sign}{b}" for a in "xyab" for sign in "+-=" for b in "1234"]


def inkml(number: int, label: str) -> bytes:
    """An ink that draws as something."""
    return (
        f'<ink><annotation type="truth">{label}</annotation><annotation type="writer">w{number % 20}</annotation>'
        f"<trace>0 0, 9 {number}, 5 20</trace><trace>30 {number}, 40 9</trace></ink>"
    ).encode()


def write_tar(path: Path, labels: list[str], *, first: int) -> None:
    """An archive of inks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for number, label in enumerate(labels, start=first):
            info = tarfile.TarInfo(f"{number}.inkml")
            content = inkml(number, label)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def s3_remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a bucket on a server that speaks S3; its address is in the environment."""
    with s3_server(tmp_path_factory.mktemp("s3")) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem().mkdir("team")
        yield "s3://team/latexify"


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory, repository: Path, s3_remote: str) -> Project:
    """A project on CROHME's kind of data, run up to the shards, with everything pushed to git and the remote."""
    folder = tmp_path_factory.mktemp("owner")
    project = Project(folder / "project", repository)
    raw = project.folder / "data" / "raw" / "crohme"
    write_tar(raw / "train.tar", LABELS, first=0)
    write_tar(folder / "test.tar", LABELS[:8], first=100)
    project.set({"crohme": {"train": ["crohme/train.tar"], "test": ["crohme/test.tar"], "valid_fraction": 0.2}})
    project.set_top("dataset", "crohme")
    project.dvc("add", "data/raw/crohme/train.tar")
    project.dvc("import-url", str(folder / "test.tar"), "data/raw/crohme/test.tar")
    project.dvc("remote", "add", "--default", "team", s3_remote)
    project.dvc("repro", OFFLINE)
    project.dvc("push")
    project.commit()
    return project


@pytest.fixture(scope="module")
def colleague(owner: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone into which everything was pulled."""
    project = owner.clone(tmp_path_factory.mktemp("colleague") / "project")
    project.dvc("pull", "--allow-missing")  # of the stages that the owner did not run
    assert (project.folder / "data" / "raw" / "crohme" / "train.tar").is_file()
    return project


@pytest.mark.slow
def test_raw_data_can_be_added_and_git_keeps_the_pointers(owner: Project) -> None:
    """`dvc add data/raw/…` was refused, because git ignored the file that it writes."""
    tracked = owner.git("ls-files", "data/raw").splitlines()
    assert {"data/raw/crohme/train.tar.dvc", "data/raw/crohme/test.tar.dvc"} < set(tracked)
    assert not [name for name in tracked if name.endswith(".tar")]


@pytest.mark.slow
def test_a_second_clone_has_nothing_to_run(colleague: Project) -> None:
    """It failed at `source`, since the archives were not there."""
    assert stages_run(colleague.dvc("repro", OFFLINE)) == []
    assert "inputs" in colleague.dvc("status")


@pytest.mark.slow
def test_an_unrelated_raw_file_runs_nothing(colleague: Project) -> None:
    """Data for another experiment must not parse this one's again; data in use must."""
    raw = colleague.folder / "data" / "raw"
    (raw / "notes.txt").write_text("of another experiment", encoding="utf-8")
    assert stages_run(colleague.dvc("repro", OFFLINE)) == []
    colleague.set({"synthetic": {"num_train": 7}})
    try:
        assert stages_run(colleague.dvc("repro", OFFLINE)) == []
        (raw / "crohme" / "train.tar").unlink()  # may be a link into DVC's cache
        write_tar(raw / "crohme" / "train.tar", LABELS[1:], first=0)
        assert stages_run(colleague.dvc("repro", "ingest")) == ["source", "ingest"]
    finally:
        colleague.git("checkout", "--quiet", ".")
        colleague.dvc("checkout", "--force", "--allow-missing")
    assert stages_run(colleague.dvc("repro", OFFLINE)) == []


@pytest.mark.slow
def test_what_is_missing_is_pulled_or_not_needed(owner: Project, tmp_path: Path) -> None:
    """`--pull --allow-missing` works without the raw data: DVC's record says what it is."""
    project = owner.clone(tmp_path / "project")
    assert stages_run(project.dvc("repro", "--pull", "--allow-missing", OFFLINE)) == []
    archive = project.folder / "data" / "raw" / "crohme" / "train.tar"
    assert not archive.exists()
    project.set({"crohme": {"valid_fraction": 0.3}})
    assert stages_run(project.dvc("repro", "--pull", "--allow-missing", "ingest")) == ["source", "ingest"]
    assert archive.is_file(), "DVC fetched it when `source` needed it"
    archive.unlink()
    archive.with_name("train.tar.dvc").unlink()
    project.set({"crohme": {"valid_fraction": 0.4}})
    failed = project.dvc("repro", "ingest", code=1)
    assert "train.tar does not exist" in failed
    assert "dvc pull" in failed
    assert "Traceback" not in failed


@pytest.mark.slow
def test_raw_data_that_is_not_shared_is_taken_as_unchanged(owner: Project, tmp_path: Path) -> None:
    """Some licences forbid to pass data on; the model is trained on the shared shards all the same."""
    project = owner.clone(tmp_path / "project")
    for pointer in (project.folder / "data" / "raw" / "crohme").glob("*.dvc"):
        pointer.unlink()
    project.dvc("pull", "--allow-missing")
    ran = project.dvc("repro", OFFLINE)
    assert stages_run(ran) == []
    assert "train.tar is not here: taken as unchanged" in ran


@pytest.mark.slow
def test_a_folder_on_a_local_remote(repository: Path, tmp_path: Path) -> None:
    """InkML in folders is tracked as one folder, and its hash without the files is that with them."""
    project = Project(tmp_path / "owner", repository)
    folder = project.folder / "data" / "raw" / "inkml"
    (folder / "deep").mkdir(parents=True)
    for number, label in enumerate(LABELS):
        (folder / ("deep" if number % 2 else "") / f"{number}.inkml").write_bytes(inkml(number, label))
    project.set_top("dataset", "inkml")
    project.dvc("add", "data/raw/inkml")
    project.dvc("remote", "add", "--default", "disk", str(tmp_path / "remote"))
    project.dvc("repro", "ingest")
    project.dvc("push")
    project.commit()
    clone = project.clone(tmp_path / "clone")
    assert stages_run(clone.dvc("repro", "--pull", "--allow-missing", "ingest")) == []
    clone.dvc("pull", "--allow-missing")
    assert stages_run(clone.dvc("repro", "ingest")) == []
    shutil.rmtree(tmp_path / "remote")
    (clone.folder / "data" / "raw" / "inkml" / "0.inkml").unlink()
    assert stages_run(clone.dvc("repro", "ingest")) == ["source", "ingest"]


@pytest.mark.slow
def test_experiments_run_in_temporary_folders(colleague: Project) -> None:
    """A workspace of DVC's has only what git and DVC track; both ways of running in one."""
    ran = stages_run(colleague.dvc("exp", "run", "--temp", "-S", "rasterize.pen_width_px=2", OFFLINE))
    assert ran == ["rasterize"]
    colleague.dvc("exp", "run", "--queue", "-S", "crohme.valid_fraction=0.25", OFFLINE)
    ran = stages_run(colleague.dvc("exp", "run", "--run-all"))
    assert ran == ["source", "ingest", "vocab", "rasterize"], "the raw data is there, too"


@pytest.mark.slow
def test_a_colleague_trains(colleague: Project) -> None:
    """From git and the remote alone, only the stages that the parameters change run."""
    ran = stages_run(colleague.dvc("exp", "run", "-S", "train.learning_rate=0.002", "train"))
    assert ran == ["train"]
    assert (colleague.folder / "data" / "model" / "model.safetensors").is_file()
