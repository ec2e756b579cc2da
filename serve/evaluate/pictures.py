"""Read labelled pictures from folders and archives as the dataset `images` does, all of them into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from latexify.artifacts.location import location_of
from latexify.common.errors import LatexifyError
from latexify.common.progress import Progress
from latexify.pipeline.config import ImagesParams, IngestParams
from latexify.pipeline.image.strokes import TracedPicture
from latexify.pipeline.ingest.labels import read_label
from latexify.pipeline.ingest.pictures import decode_member, read_picture
from latexify.pipeline.inkml.xml import UnusableInkError
from latexify.pipeline.inks.ink import Ink, Rejection
from latexify.pipeline.inputs.archives import Member, is_ink, iter_members
from latexify.pipeline.inputs.embedded import is_parquet
from latexify.pipeline.inputs.inputs import key_of, printable
from latexify.pipeline.inputs.pictures import (
    LABEL_ANNOTATION,
    WRITER_ANNOTATION,
    PictureLabel,
    is_archive_name,
    is_picture_name,
)
from latexify.pipeline.inputs.scan import key_prefixes
from latexify.pipeline.inputs.splits import known_writer
from latexify.pipeline.labels.lists import ListSettings, PictureFiles, list_files
from latexify.pipeline.labels.rows import ColumnNames
from latexify.pipeline.latex import normalize
from latexify.pipeline.source.pictures import match_pictures
from latexify.serve.evaluate.account import Account
from latexify.serve.evaluate.inks import LabelledInks

LIMITS = IngestParams()
MAX_FILE_BYTES = ImagesParams().max_file_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatments:
    """What the models need of pictures: traced to strokes, fitted, whole, or several of these."""

    traced: bool = True
    fitted: bool = False
    whole: bool = False  # as the file has it, for a plain TrOCR


def hold_pictures(paths: Sequence[str]) -> bool:
    """Whether folders and archives hold pictures, and no InkML. Raises LatexifyError if one is damaged."""
    found = False
    for path in paths:
        place = location_of(path)
        if not place.exists() or not (place.is_dir() or is_archive_name(path) or is_parquet(place)):
            return False
        for member in iter_members(place, max_bytes=None):
            if is_ink(member):
                return False
            found = found or is_picture_name(member.name)
    return found


def read_labelled_pictures(
    paths: Sequence[str], *, lists: Sequence[str], label_column: str | None, split: str, treatments: Treatments
) -> LabelledInks:
    """Read every picture of folders and archives, with the labels of lists.

    Args:
        paths: Folders and archives.
        lists: Lists of labels; none: they are looked for among the pictures.
        label_column: Column of the LaTeX; None: one with a usual name.
        split: Split that the pictures are said to be of.
        treatments: What the models need.

    Raises:
        LatexifyError: If a path is missing or damaged, a list cannot be read, or no picture has a label.
    """
    for path in paths:
        if is_picture_name(path) and location_of(path).is_file():
            raise LatexifyError(f"{path}: a single picture has no list of labels: name its folder")
    inputs = [list_files(location_of(path), name=path) for path in paths]
    settings = ListSettings(
        columns=ColumnNames(label=label_column), lists=[(name, location_of(name)) for name in lists]
    )
    matched = match_pictures(inputs, settings)
    inks: dict[str, Ink] = {}
    files: dict[str, bytes] = {}
    rejections = list(matched.rejections)
    with Progress("read", total=len(matched.labels), unit="pictures") as progress:
        for key, source, member, label in _members(inputs, matched.labels):
            try:
                inks[key] = _ink(member, label, key=key, source=source, split=split, treatments=treatments)
            except UnusableInkError as error:
                detail = printable(error.detail)
                rejections.append(Rejection(key=key, source=source, reason=error.reason, detail=detail))
            else:
                if treatments.whole:
                    assert member.data is not None, "it was decoded"
                    files[key] = member.data
            progress.advance()
    account = Account(num_scored=len(inks), rejections=rejections, noun="pictures")
    if not inks:
        first = f", such as {rejections[0].source}: {rejections[0].detail}" if rejections else ""
        raise LatexifyError(
            f"none of the {len(matched.labels):,} pictures in {', '.join(paths)} can be evaluated{first}: name a list "
            "of labels with --labels"
        )
    return LabelledInks(inks=[inks[key] for key in sorted(inks)], account=account, files=files)


def _members(
    inputs: Sequence[PictureFiles], labels: Sequence[PictureLabel]
) -> Iterator[tuple[str, str, Member, PictureLabel]]:
    """Yield key, source, content and label of every picture."""
    prefixes = key_prefixes([item.path.name for item in inputs], [item.pictures for item in inputs])
    following = iter(labels)
    for item, prefix in zip(inputs, prefixes, strict=True):
        for member in iter_members(item.path, max_bytes=MAX_FILE_BYTES, wanted=is_picture_name):
            if is_picture_name(member.name):
                source = f"{item.name}/{printable(member.name)}"
                yield prefix + key_of(member.name), source, member, next(following)


def _ink(  # noqa: PLR0913  # all that a row holds
    member: Member, label: PictureLabel, *, key: str, source: str, split: str, treatments: Treatments
) -> Ink:
    """Return the row of a picture, with all that the models need. Raises UnusableInkError if there is none."""
    if label.reason is not None:
        raise UnusableInkError(label.reason, label.detail)
    text, reference = read_label(
        label.annotations, [LABEL_ANNOTATION], max_label_chars=LIMITS.max_label_chars, normalize=normalize
    )
    limits = {"max_file_bytes": MAX_FILE_BYTES, "max_points": LIMITS.max_points}
    traced = read_picture(member, trace=True, **limits) if treatments.traced else None
    cropped = read_picture(member, trace=False, **limits) if treatments.fitted else None
    if treatments.whole and traced is None and cropped is None:
        decode_member(member, max_file_bytes=MAX_FILE_BYTES)
    assert traced is None or isinstance(traced, TracedPicture)
    assert cropped is None or not isinstance(cropped, TracedPicture)
    return Ink(
        key=key,
        split=split,
        label=text,
        normalized_label=reference,
        strokes=[] if traced is None else traced.strokes,
        writer=known_writer(label.annotations.get(WRITER_ANNOTATION)),
        source=source,
        stroke_scale=1.0 if traced is None else traced.stroke_scale,
        picture=cropped,
    )
