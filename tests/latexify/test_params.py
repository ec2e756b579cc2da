"""params.yaml is checked whole, and every mistake is reported at once."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from latexify.common.errors import LatexifyError
from latexify.params import Params, load_params


def write(folder: Path, text: str) -> Path:
    """Write a parameter file."""
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_mistake_is_reported_together(tmp_path: Path) -> None:
    """A user who made four mistakes would otherwise need four runs to find them."""
    path = write(
        tmp_path,
        "dataset: synthetik\ntrain: {learnin_rate: 1e-3, max_steps: '3'}\nrasterise: {}\n",
    )
    with pytest.raises(LatexifyError) as error:
        load_params(path)
    text = str(error.value)
    assert "4 mistake" in text
    assert "did you mean `learning_rate`" in text
    assert "did you mean `rasterize`" in text
    assert "'synthetik'" in text
    assert "train.max_steps" in text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("model: {base: scratch}\nvocab: {tokenizer: base}", "vocab.tokenizer"),
        ("model: {base: scratch}\ntrain: {freeze: [encoder]}", "train.freeze"),
        ("synthetic: {min_tokens: 9, max_tokens: 3}", "synthetic.min_tokens"),
        ("rasterize: {height_px: 16, margin_px: 8}", "rasterize.margin_px"),
        ("train: {max_steps: 10, warmup_steps: 11}", "train.warmup_steps"),
        ("inkml: {valid_fraction: 0.5, test_fraction: 0.5}", "inkml.valid_fraction"),
    ],
)
def test_impossible_combinations_name_the_parameter(tmp_path: Path, text: str, named: str) -> None:
    """Each value is fine alone; together they would fail hours later."""
    with pytest.raises(LatexifyError, match=named):
        load_params(write(tmp_path, text))


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    """YAML 1.1 parsers read 5e-5 as a string; DVC and we must not."""
    assert load_params(write(tmp_path, "train: {learning_rate: 5e-5}")).train.learning_rate == 5e-5


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n", "\x00"])
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str) -> None:
    """A parser's traceback tells a newcomer nothing."""
    with pytest.raises(LatexifyError, match=r"params\.yaml") as error:
        load_params(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """Running latexify in the wrong folder is the commonest first mistake."""
    with pytest.raises(LatexifyError, match="--params"):
        load_params(tmp_path / "params.yaml")


def test_committed_file_names_every_parameter(repository: Path) -> None:
    """DVC only tracks parameters that are in the file: a default kept in code alone would not re-run its stage."""
    raw = YAML(typ="safe", pure=True).load((repository / "params.yaml").read_text(encoding="utf-8"))
    assert names(raw) == names(Params().model_dump())


def test_defaults_are_those_of_the_committed_file(repository: Path) -> None:
    """With two sets of defaults, to delete a line of the file would change the training without a word."""
    assert load_params(repository / "params.yaml") == Params()


def test_a_model_from_scratch_freezes_nothing_by_default(tmp_path: Path) -> None:
    """An untrained encoder that never learns makes a useless model."""
    assert load_params(write(tmp_path, "model: {base: scratch}")).train.freeze == []
    assert load_params(write(tmp_path, "{}")).train.freeze == ["encoder"]


def test_old_names_are_reported_with_the_new_ones(tmp_path: Path) -> None:
    """A file of an earlier version: all renamed parameters at once, together with other mistakes."""
    text = """
ingest: {max_reject_rate: 0.1}
composed: {shares: {copied: 1.0}}
train:
  clip_norm: 1.0
  window: 100
  schedule: linear-end
  max_damaged_rate: 0.1
  layer_decay: 1.0
  patience: 3
  augmentation: 0.5
  learnin_rate: 1e-3
"""
    with pytest.raises(LatexifyError) as error:
        load_params(write(tmp_path, text))
    lines = [line.strip() for line in str(error.value).splitlines()]
    assert "10 mistake" in lines[0]
    assert lines[1:-1] == [
        "ingest.max_reject_rate is now ingest.max_reject_fraction",
        "composed.shares is now composed.label_mix",
        "train.clip_norm is now train.max_grad_norm",
        "train.window is now train.shuffle_window",
        "train.schedule: `linear-end` is now `wsd`",
        "train.max_damaged_rate is now train.max_damaged_fraction",
        "train.layer_decay is now train.layerwise_lr_decay",
        "train.patience is now train.early_stopping_patience",
        "train.augmentation is now train.augment_strength",
    ]
    assert "did you mean `learning_rate`" in lines[-1]


def names(value: object, prefix: str = "") -> set[str]:
    """Dotted names of all leaves of a nested dictionary."""
    if not isinstance(value, dict):
        return {prefix}
    return {name for key, item in value.items() for name in names(item, f"{prefix}.{key}")}


MIXED = "datasets: [{name: images, weight: 0.5}, {name: crohme}]\n"


@pytest.mark.parametrize("text", [MIXED, "dataset: null\n" + MIXED])
def test_several_datasets_have_sections_and_weights(tmp_path: Path, text: str) -> None:
    """Their order in the file must not matter, since it would read all inks again."""
    params = load_params(write(tmp_path, text))
    assert list(params.sections) == ["crohme", "images"]
    assert params.weights == {"crohme": 1.0, "images": 0.5}
    assert params.dataset is None


@pytest.mark.parametrize("text", ["dataset: crohme\ndatasets: [{name: crohme, weight: 0.5}]", "dataset: crohme"])
def test_one_dataset_has_no_weights(tmp_path: Path, text: str) -> None:
    """One dataset stays one, however it is named: nothing is prefixed or weighted."""
    params = load_params(write(tmp_path, text))
    assert list(params.sections) == ["crohme"]
    assert params.weights is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("datasets: [{name: crome}, {name: images}]", "datasets.0.name: input should be 'synthetic', "),
        ("datasets: [{name: crohme}, {nam: images}]", "datasets.1.nam: unknown parameter, did you mean `name`?"),
        ("datasets: [crohme, images]", "datasets.0: input should be a valid dictionary"),
        ("datasets: [{name: crohme}, {name: images}, {name: crohme}]", "datasets: names `crohme` twice"),
        ("datasets: [{name: crohme, weight: -1}, {name: images}]", "datasets.0.weight: input should be greater than 0"),
        ("datasets: [{name: crohme, weight: 0}, {name: images}]", "datasets.0.weight: input should be greater than 0"),
        ("datasets: [{name: crohme, weight: .nan}]", "datasets.0.weight: input should be a finite number"),
        ("datasets: [{name: crohme, weight: .inf}]", "datasets.0.weight: input should be a finite number"),
        ("datasets: [{name: crohme, weight: 2000}]", "datasets.0.weight: input should be less than or equal to 1000"),
        ("dataset: null", "dataset: name one, or several in datasets"),
        (
            "dataset: inkml\n" + MIXED,
            "dataset: names `inkml`, and datasets names `images`, `crohme`: set dataset to null, or datasets to []",
        ),
    ],
)
def test_a_mistake_in_several_datasets_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """Training on other data than was meant, or with a weight that means nothing, would be wrong in silence."""
    with pytest.raises(LatexifyError, match=re.escape(message)) as error:
        load_params(write(tmp_path, text))
    assert all(line.startswith("  datas") for line in str(error.value).splitlines()[1:])


def test_all_weights_of_zero_are_named_one_by_one(tmp_path: Path) -> None:
    """There would be nothing to train on."""
    with pytest.raises(LatexifyError, match="2 mistake"):
        load_params(write(tmp_path, "datasets: [{name: crohme, weight: 0}, {name: images, weight: 0}]"))
