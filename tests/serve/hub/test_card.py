"""The card of a published model is true to this model, and only to this one."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from huggingface_hub import ModelCard, ModelCardData

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import DatasetName
from latexify.serve.hub.card import build_card
from latexify.serve.hub.facts import CardFacts, read_facts
from latexify.serve.hub.licences import ORIGINS, common_licence, dataset_names, origins


@pytest.fixture(scope="module")
def facts(trained_project: Path) -> CardFacts:
    """Facts of a model whose data and figures are available."""
    return read_facts(
        trained_project / "data/model", data=trained_project / "data", metrics=trained_project / "metrics"
    )


@pytest.fixture
def copied(trained_project: Path, tmp_path: Path) -> Path:
    """A copy of model, data and figures that a test may change."""
    shutil.copytree(trained_project / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.tar"))
    shutil.copytree(trained_project / "metrics", tmp_path / "metrics")
    return tmp_path


def read(copied: Path, *, dataset: str | None = None, with_figures: bool = True) -> CardFacts:
    """Read the facts of the copy."""
    folders = {"data": copied / "data", "metrics": copied / "metrics"}
    return read_facts(copied / "data/model", **folders, dataset=dataset, with_figures=with_figures)


def front_matter(card: str) -> ModelCardData:
    """Parse a card as the Hub does."""
    data = ModelCard(card).data
    assert isinstance(data, ModelCardData)
    return data


def test_the_front_matter_has_the_fields_that_the_hub_searches(facts: CardFacts) -> None:
    """A model without a licence and tags that the Hub understands is not found, or not used."""
    data = front_matter(build_card(facts, repo="me/formulas"))
    assert data.license == "apache-2.0"
    assert data.library_name == "transformers"
    assert data.pipeline_tag == "image-to-text"
    assert {"latex", "trocr", "ocr"} <= set(data.tags or [])
    assert data.model_name == "formulas"
    assert data.eval_results is not None
    assert facts.evaluation is not None
    results = {result.metric_type: result for result in data.eval_results}
    assert results["cer"].metric_value == round(100 * facts.evaluation.score["cer"]["value"], 2)
    assert results["cer"].dataset_split == "test"


def test_the_card_has_the_figures_with_their_intervals(facts: CardFacts, trained_project: Path) -> None:
    """A figure without its uncertainty, or of another run, misleads users who choose a model."""
    card = build_card(facts, repo="me/formulas")
    score = json.loads((trained_project / "metrics/score.json").read_text())
    for name in ("cer", "token_cer", "exact_match", "within_3", "render_rate", "visual_exact"):
        rate = score[name]
        assert f"| {100 * rate['value']:.1f} % | {100 * rate['low']:.1f} % | {100 * rate['high']:.1f} % |" in card
    train = json.loads((trained_project / "metrics/train.json").read_text())
    assert f"{train['parameters']:,} parameters" in card
    assert f"best character error rate in validation {100 * train['valid_cer']:.1f} %" in card
    assert "32 x 128 px" in card
    assert "40 train, 10 valid, 10 test" in card
    assert f"`{facts.manifest.fingerprint}`" in card
    assert "| `train.max_steps` | `2` |" in card
    assert "\n\n\n" not in card
    size = (trained_project / "data/model/model.safetensors").stat().st_size
    assert f"parameters ({size / 1e6:.1f} MB)" in card


def test_the_card_shows_where_the_model_fails(facts: CardFacts, trained_project: Path) -> None:
    """One rate for all formulas hides that most long ones, or matrices, are wrong."""
    card = build_card(facts, repo="me/formulas")
    for name, column in (("error_by_length", "symbols"), ("error_by_structure", "structure")):
        with (trained_project / f"data/plots/{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        for row in rows:
            rates = f"{100 * float(row['cer']):.1f} % | {100 * float(row['exact_match']):.1f} %"
            assert f"| {row[column]} | {int(row['num_samples']):,} | {rates} |" in card
    mistakes = card.partition("The most common mistakes, without braces: ")[2].partition("\n\n")[0]
    assert mistakes
    assert "`{`" not in mistakes


def test_missing_tables_are_an_error(copied: Path) -> None:
    """Users would not notice that half of a card is missing."""
    (copied / "data/plots/error_by_length.csv").unlink()
    with pytest.raises(LatexifyError, match=r"error_by_length\.csv cannot be read .*: run `latexify score` again"):
        read(copied)
    (copied / "data/plots/error_by_length.csv").write_text("symbols,cer\n1-5,0.1\n")
    with pytest.raises(LatexifyError, match="lacks exact_match, num_samples: run `latexify score` again"):
        read(copied)


def test_the_same_facts_give_the_same_card(facts: CardFacts) -> None:
    """A card that changes by itself makes needless commits."""
    assert build_card(facts, repo="me/formulas") == build_card(facts, repo="me/formulas")


def test_figures_of_another_model_are_refused(copied: Path) -> None:
    """After a new training without a new evaluation, the old figures must not be published with the new model."""
    raw = json.loads((copied / "data/model/manifest.json").read_text())
    del raw["fingerprint"]
    write_manifest(copied / "data/model", Manifest(**{**raw, "params": {**raw["params"], "seed": 2}}))
    with pytest.raises(LatexifyError, match="has the score of another model"):
        read(copied)


def test_a_score_of_other_predictions_is_refused(copied: Path) -> None:
    """`latexify score` of other predictions leaves figures that look like this model's."""
    score = copied / "metrics/score.json"
    score.write_text(json.dumps(json.loads(score.read_text()) | {"predictions": "0" * 16}))
    with pytest.raises(LatexifyError, match=r"has the score of another model: run `latexify predict`.*--no-figures"):
        read(copied)
    score.unlink()
    with pytest.raises(LatexifyError, match=r"score\.json is missing"):
        read(copied)
    assert "No figures were published with this model." in build_card(
        read(copied, with_figures=False), repo="me/formulas"
    )


def test_data_that_is_not_available_must_be_named(copied: Path) -> None:
    """A model has a licence even if its data is gone, and the publisher would be liable for a wrong guess."""
    shutil.rmtree(copied / "data/inks")
    with pytest.raises(LatexifyError, match=r"the data of .* is not in .*: name it with --dataset"):
        read(copied)
    with pytest.raises(LatexifyError, match="--dataset chrome is unknown: choose from synthetic"):
        read(copied, dataset="chrome")
    facts = read(copied, dataset="crohme")
    assert facts.licence == "cc-by-nc-sa-3.0"
    card = build_card(facts, repo="me/formulas")
    assert "CC BY-NC-SA 3.0" in card
    assert "not trained on human handwriting" not in card


def test_data_of_another_model_is_ignored(copied: Path) -> None:
    """data/ may hold another dataset by now, whose licence is not this model's."""
    manifest = json.loads((copied / "data/source/manifest.json").read_text())
    del manifest["fingerprint"]
    write_manifest(copied / "data/source", Manifest(**{**manifest, "params": {"dataset": "crohme"}}))
    with pytest.raises(LatexifyError, match="name it with --dataset"):
        read(copied)


@pytest.mark.parametrize(
    ("data", "base", "expected"),
    [
        ("synthetic", "cc-by-nc-sa-3.0", "cc-by-nc-sa-3.0"),
        ("crohme", "cc-by-nc-sa-3.0", "cc-by-nc-sa-3.0"),
        ("crohme", None, "cc-by-nc-sa-3.0"),
        ("mathwriting", "cc-by-nc-sa-3.0", None),
    ],
)
def test_a_fine_tuned_model_inherits_the_terms_of_its_base(
    facts: CardFacts, data: str, base: str | None, expected: str | None
) -> None:
    """Fine-tuning a non-commercial model on free data does not make it free."""
    assert replace(facts, datasets=[data], base_licence=base).licence == expected


def test_the_licence_of_the_base_is_read_from_its_card(copied: Path) -> None:
    """Most models start from the one that the project includes."""
    manifest = json.loads((copied / "data/model/manifest.json").read_text())
    del manifest["fingerprint"]
    manifest["params"]["model"]["base"] = str(copied / "base")
    write_manifest(copied / "data/model", Manifest(**manifest))
    assert read(copied, with_figures=False).licence == "apache-2.0"
    (copied / "base").mkdir()
    (copied / "base/README.md").write_text("---\nlicense: cc-by-nc-sa-3.0\n---\n# base\n")
    facts = read(copied, with_figures=False)
    assert facts.licence == "cc-by-nc-sa-3.0"
    assert "not trained on human handwriting" not in build_card(facts, repo="me/formulas")
    (copied / "base/README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(LatexifyError, match=r"has invalid front matter .*: correct it"):
        read(copied, with_figures=False)


def test_an_unknown_licence_must_be_stated(facts: CardFacts) -> None:
    """Only the publisher knows the terms of their own inks."""
    own = replace(facts, datasets=["inkml"], origins=[ORIGINS["inkml"]])
    with pytest.raises(LatexifyError, match="give one with --license"):
        build_card(own, repo="me/formulas")
    assert front_matter(build_card(own, repo="me/formulas", licence="mit")).license == "mit"


def test_a_fine_tuned_model_names_its_base(facts: CardFacts) -> None:
    """The terms of the base model apply to the result."""
    params = {**facts.manifest.params, "model": {"base": "microsoft/trocr-base-handwritten", "base_version": None}}
    card = build_card(replace(facts, manifest=replace(facts.manifest, params=params)), repo="me/formulas")
    assert front_matter(card).base_model == "microsoft/trocr-base-handwritten"
    assert "The terms of `microsoft/trocr-base-handwritten` apply too." in card


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_an_incomplete_model_is_refused(copied: Path, name: str) -> None:
    """A model that cannot be loaded must not be published."""
    (copied / "data/model" / name).unlink()
    with pytest.raises(LatexifyError, match=rf"is incomplete \({name} missing\)"):
        read(copied)


def test_truncated_weights_are_refused(copied: Path) -> None:
    """A copy to a full disk leaves a file with a valid beginning."""
    weights = copied / "data/model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(LatexifyError, match=r"model\.safetensors is damaged"):
        read(copied)


def test_every_dataset_has_its_terms() -> None:
    """A model of a new dataset without a licence here would be published without one."""
    assert set(get_args(DatasetName)) == set(ORIGINS)


def test_the_sources_of_composed_inks_are_named() -> None:
    """Symbols and formulas from other sources keep their terms inside composed inks."""
    composed = {"symbol_files": ["symbols/detexify.jsonl.xz"], "formulas": ["wikipedia-formulas.txt.xz", "own.txt"]}
    all_origins = origins({"dataset": "crohme", "composed": composed})
    assert [origin.terms for origin in all_origins] == [
        "CC BY-NC-SA 3.0",
        "ODbL 1.0",
        "CC BY-SA",
        "as the publisher states",
    ]
    assert "own.txt" in all_origins[-1].title


def test_a_mixture_names_all_its_datasets() -> None:
    """A model of two datasets that was published under the licence of one would break the other's."""
    source: dict[str, Any] = {"datasets": {"crohme": {}, "synthetic": {}}}
    assert [origin.licence for origin in origins(source)] == ["cc-by-nc-sa-3.0", "apache-2.0"]
    assert common_licence(dataset_names(source)) == "cc-by-nc-sa-3.0"
    assert common_licence(["crohme", "mathwriting"]) is None
    assert common_licence(["crohme", "images"]) is None
    assert common_licence(["synthetic"]) == "apache-2.0"
