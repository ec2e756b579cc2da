"""Every picture gets its label or a reason, and every row a picture or a reason."""

from latexify.pipeline.inks.ink import Reason
from latexify.pipeline.labels.matching import LabelList, Matched, match
from latexify.pipeline.labels.rows import LabelRow


def rows(*pairs: tuple[str, str | None], folder: str | None = None, **facts: str) -> LabelList:
    """A list of labels."""
    found = [
        LabelRow(name=name, label=label, source=f"l:{number}", **facts)
        for number, (name, label) in enumerate(pairs, start=1)
    ]
    return LabelList(rows=found, folder=folder)


def labels(matched: Matched) -> list[str | None]:
    """The labels of the pictures; None for those that cannot be used."""
    return [None if label.reason else label.annotations["label"] for label in matched.labels]


def reasons(matched: Matched) -> list[tuple[str, Reason]]:
    """Sources and reasons of the rejected rows."""
    return [(rejection.source, rejection.reason) for rejection in matched.rejections]


def test_pictures_are_found_by_path_end_of_path_and_stem() -> None:
    """Lists name pictures as their authors saw them: in another folder, of Windows, or without suffix."""
    pictures = ["data/images/a.png", "data/images/b.x.jpg", "data/images/c.PNG", "data/images/o\u0308.png"]
    named = rows(("./images/a.png", "A"), ("b.x", "B"), ("images\\c.PNG", "C"), ("\u00f6.png", "D"))
    matched = match(pictures, [named])
    assert labels(matched) == ["A", "B", "C", "D"]
    assert not matched.rejections


def test_what_has_no_counterpart_is_rejected() -> None:
    """Nothing may be lost without a word."""
    matched = match(["a.png", "b.png"], [rows(("a.png", "A"), ("gone.png", "G"), ("a.jpg", "J"))])
    assert labels(matched) == ["A", None]
    assert matched.labels[1].reason == Reason.NO_LABEL
    assert reasons(matched) == [("l:2", Reason.NO_PICTURE), ("l:3", Reason.NO_PICTURE)]


def test_the_same_label_twice_is_a_duplicate_and_two_labels_are_a_contradiction() -> None:
    """Which of two labels is right is not for us to say."""
    matched = match(["a.png", "b.png"], [rows(("a.png", "A"), ("a.png", "A"), ("b.png", "B"), ("b.png", "C"))])
    assert labels(matched) == ["A", None]
    assert reasons(matched) == [("l:2", Reason.DUPLICATE_ROW)]
    assert matched.labels[1].reason == Reason.CONTRADICTORY_LABEL
    assert matched.labels[1].detail == "the lists contradict each other about its label: l:3 has 'B'; l:4 has 'C'"


def test_rows_of_one_picture_complete_each_other() -> None:
    """Labels and splits may be in different lists."""
    matched = match(["a.png"], [rows(("a.png", "A")), rows(("a", None), split="test")])
    assert matched.labels[0].annotations == {"label": "A", "split": "test"}
    assert not matched.rejections


def test_equal_names_in_different_folders_are_told_apart_by_the_folder_of_the_list() -> None:
    """`train/labels.csv` and `test/labels.csv` both name `1.png`."""
    pictures = ["train/1.png", "test/1.png", "1.png"]
    lists = [rows(("1.png", "A"), folder="train"), rows(("1.png", "B"), folder="test")]
    assert labels(match(pictures[:2], lists)) == ["A", "B"]
    assert labels(match(pictures, [rows(("test/1.png", "B"), ("1.png", "C"))])) == [None, "B", "C"]
    matched = match(pictures[:2], [rows(("1.png", "A"))])
    assert labels(matched) == [None, None]
    assert reasons(matched) == [("l:1", Reason.BAD_ROW)]
    assert "train/1.png, test/1.png" in matched.rejections[0].detail


def test_a_row_with_a_problem_rejects_its_picture_once() -> None:
    """It is one input, not two."""
    matched = match(["a.png"], [rows(("a.png", None), problem="3 fields"), rows(("b.png", None), problem="3 fields")])
    assert (matched.labels[0].reason, matched.labels[0].detail) == (Reason.BAD_ROW, "l:1: 3 fields")
    assert reasons(matched) == [("l:1", Reason.BAD_ROW)]
