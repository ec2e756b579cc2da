"""Three datasets that are mixed: inks of CROHME's form, other inks, and pictures with a list of labels."""

from pathlib import Path
from typing import Any

from latexify.pipeline.config import ComposedParams, CrohmeParams, ImagesParams, IngestParams, InkmlParams
from latexify.pipeline.engine.engine import Backend, Engine
from latexify.pipeline.ingest import stage as ingest
from latexify.pipeline.source import stage as source
from tests.support.picture_data import picture, put, table

SECTIONS: dict[Any, Any] = {
    "crohme": CrohmeParams(train=["crohme/train"], valid=["crohme/valid"], test=["crohme/test"]),
    "inkml": InkmlParams(paths=["mine"], label_annotations=["latex"], split_by="folder"),
    "images": ImagesParams(paths=["mine"], labels=["mine/labels.csv"], split_by="column"),
}
NUM_INPUTS = {"crohme": 16, "inkml": 8, "images": 14}
"""Files and rows of lists that are of no file."""


def ink(number: int, label: str, *, annotation: str = "truth") -> bytes:
    """An InkML file whose strokes depend on `number`."""
    texts = f"<annotation type='{annotation}'>{label}</annotation><annotation type='writer'>w{number % 3}</annotation>"
    traces = f"<trace>0 {number}, 9 5, 18 {2 * number}</trace><trace>5 0, 5 {20 + number}</trace>"
    return f'<ink xmlns="http://www.w3.org/2003/InkML">{texts}{traces}</ink>'.encode()


def write_mixture(raw: Path) -> None:
    """Write the three into a folder; inks and pictures share a folder, and some have the same name.

    Of the pictures one has no label, and one label is of no picture. One training ink of `inkml` is a test ink of
    `crohme`, and one is a training ink of it.
    """
    put(raw / "crohme/train", {f"{number:02}.inkml": ink(number, f"x^{number % 4}") for number in range(10)})
    put(raw / "crohme/valid", {f"{number:02}.inkml": ink(number, "y") for number in range(20, 22)})
    put(raw / "crohme/test", {f"{number:02}.inkml": ink(number, f"z_{number % 4}") for number in range(30, 34)})
    own = {f"train/{number:02}.png.inkml": number for number in (0, 30, 40, 41)}  # two that crohme has, too
    own |= {f"{split}/{number:02}.png.inkml": number for split, number in (("valid", 50), ("test", 51), ("test", 52))}
    put(raw / "mine", {name: ink(number, "a+b", annotation="latex") for name, number in own.items()})
    put(raw / "mine", {"train/no-label.inkml": ink(60, "a", annotation="comment")})
    pictures = {f"{split}/{number:02}.png": split for split, number in _numbered()}
    put(raw / "mine", {name: picture(number) for number, name in enumerate(pictures)})
    rows = [(name, f"x+{number % 3}", split) for number, (name, split) in enumerate(pictures.items())]
    listed = [row for row in rows if row[0] != "test/51.png"]
    put(raw / "mine", {"labels.csv": table([*listed, ("train/99.png", "x", "train")], ("image", "latex", "split"))})


def _numbered() -> list[tuple[str, int]]:
    return (
        [("train", 40 + number) for number in range(8)]
        + [("valid", 50), ("valid", 51), ("test", 50)]
        + [
            ("test", 51),
            ("test", 52),
        ]
    )


def run_source(at: Path, *, composed: ComposedParams | None = None, **sections: Any) -> None:
    """Run the stage on `at`/raw."""
    found = SECTIONS | sections
    source.run_datasets(found, seed=1, raw=at / "raw", out=at / "source", jobs=1, composed=composed)


def run_ingest(at: Path, *, jobs: int = 1, backend: Backend = "sequential", max_reject_fraction: float = 1) -> Any:
    """Run the stage on what source wrote."""
    return ingest.run(
        IngestParams(max_reject_fraction=max_reject_fraction),
        source=at / "source",
        out=at / "inks",
        metrics=at / "metrics/ingest.json",
        engine=Engine(jobs=jobs, backend=backend),
    )
