"""The card of a published model: true to the model, and to nothing else."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from huggingface_hub import ModelCard

from latexify.artifacts.manifest import Manifest, write_manifest
from latexify.common.errors import LatexifyError
from latexify.pipeline.config import DatasetName
from latexify.serve.hub.card import build_card
from latexify.serve.hub.facts import CardFacts, read_facts
from latexify.serve.hub.licences import ORIGINS, origins


@pytest.fixture(scope="module")
def facts(trained_project: Path) -> CardFacts:
    """What is known of a model whose data and figures are at hand."""
    return read_facts(
        trained_project / "data/model", data=trained_project / "data", metrics=trained_project / "metrics"
    )


@pytest.fixture
def place(trained_project: Path, tmp_path: Path) -> Path:
    """A copy of model, data and figures that a test may change."""
    shutil.copytree(trained_project / "data", tmp_path / "data", ignore=shutil.ignore_patterns("*.tar"))
    shutil.copytree(trained_project / "metrics", tmp_path / "metrics")
    return tmp_path


def read(place: Path, **options: object) -> CardFacts:
    """Gather the facts of the copy."""
    return read_facts(place / "data/model", data=place / "data", metrics=place / "metrics", **options)


def test_the_front_matter_is_what_the_hub_searches(facts: CardFacts) -> None:
    """Without licence and tags that the Hub understands, a model is not found, or not used."""
    card = ModelCard(build_card(facts, repo="me/formulas"))
    assert card.data.license == "apache-2.0"
    assert card.data.library_name == "transformers"
    assert card.data.pipeline_tag == "image-to-text"
    assert {"latex", "trocr", "ocr"} <= set(card.data.tags)
    assert card.data.model_name == "formulas"
    results = {result.metric_type: result for result in card.data.eval_results}
    assert results["cer"].metric_value == round(100 * facts.judgement.score["cer"]["value"], 2)
    assert results["cer"].dataset_split == "test"


def test_the_card_holds_the_figures_with_their_intervals(facts: CardFacts, trained_project: Path) -> None:
    """A figure without its uncertainty, or of another run, misleads whoever chooses a model."""
    card = build_card(facts, repo="me/formulas")
    score = json.loads((trained_project / "metrics/score.json").read_text())
    for name in ("cer", "token_cer", "exact_match", "within_3", "render_rate", "visual_exact"):
        rate = score[name]
        assert f"| {100 * rate['value']:.1f} % | {100 * rate['low']:.1f} % | {100 * rate['high']:.1f} % |" in card
    train = json.loads((trained_project / "metrics/train.json").read_text())
    assert f"{train['parameters']:,} parameters" in card
    assert f"best character error rate of a validation {100 * train['valid_cer']:.1f} %" in card
    assert "32 x 128 px" in card
    assert "40 train, 10 valid, 10 test" in card
    assert f"`{facts.manifest.fingerprint}`" in card
    assert "| `train.max_steps` | `2` |" in card
    assert "\n\n\n" not in card
    size = (trained_project / "data/model/model.safetensors").stat().st_size
    assert f"parameters ({size / 1e6:.1f} MB)" in card


def test_the_card_says_where_the_model_fails(facts: CardFacts, trained_project: Path) -> None:
    """One rate for all formulas hides that long ones, or matrices, are hardly read at all."""
    card = build_card(facts, repo="me/formulas")
    for name, column in (("error_by_length", "symbols"), ("error_by_structure", "structure")):
        with (trained_project / f"data/plots/{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        for row in rows:
            rates = f"{100 * float(row['cer']):.1f} % | {100 * float(row['exact_match']):.1f} %"
            assert f"| {row[column]} | {int(row['num_samples']):,} | {rates} |" in card
    mistakes = card.partition("The commonest mistakes, braces aside: ")[2].partition("\n\n")[0]
    assert mistakes
    assert "`{`" not in mistakes


def test_tables_that_are_lost_are_said(place: Path) -> None:
    """Half a card would pass for a whole one."""
    (place / "data/plots/error_by_length.csv").unlink()
    with pytest.raises(LatexifyError, match=r"error_by_length\.csv cannot be read .*: run `latexify score` again"):
        read(place)
    (place / "data/plots/error_by_length.csv").write_text("symbols,cer\n1-5,0.1\n")
    with pytest.raises(LatexifyError, match="lacks exact_match, num_samples: run `latexify score` again"):
        read(place)


def test_the_same_facts_give_the_same_card(facts: CardFacts) -> None:
    """A card that changes by itself makes a commit of nothing."""
    assert build_card(facts, repo="me/formulas") == build_card(facts, repo="me/formulas")


def test_figures_of_another_model_are_refused(place: Path) -> None:
    """Trained again, judged not yet: the old figures must not go out under the new model's name."""
    raw = json.loads((place / "data/model/manifest.json").read_text())
    del raw["fingerprint"]
    write_manifest(place / "data/model", Manifest(**{**raw, "params": {**raw["params"], "seed": 2}}))
    with pytest.raises(LatexifyError, match="does not judge this model"):
        read(place)


def test_a_score_that_does_not_judge_this_model_is_refused(place: Path) -> None:
    """`latexify score` of other predictions leaves figures that look like this model's."""
    score = place / "metrics/score.json"
    score.write_text(json.dumps(json.loads(score.read_text()) | {"predictions": "0" * 16}))
    with pytest.raises(LatexifyError, match=r"does not judge this model: run `latexify predict`.*--no-figures"):
        read(place)
    score.unlink()
    with pytest.raises(LatexifyError, match=r"score\.json is missing"):
        read(place)
    assert "None were published with this model." in build_card(read(place, with_figures=False), repo="me/formulas")


def test_data_that_is_not_at_hand_must_be_named(place: Path) -> None:
    """A model without its data has a licence all the same; a guess would be the publisher's guilt."""
    shutil.rmtree(place / "data/inks")
    with pytest.raises(LatexifyError, match=r"what .* was trained on is not in .*: name the dataset with --dataset"):
        read(place)
    with pytest.raises(LatexifyError, match="--dataset chrome is not known: choose of synthetic"):
        read(place, dataset="chrome")
    facts = read(place, dataset="crohme")
    assert facts.licence == "cc-by-nc-sa-3.0"
    card = build_card(facts, repo="me/formulas")
    assert "CC BY-NC-SA 3.0" in card
    assert "seen no person's handwriting" not in card


def test_data_that_this_model_never_saw_does_not_count(place: Path) -> None:
    """data/ may hold another dataset by now; its licence is not this model's."""
    manifest = json.loads((place / "data/source/manifest.json").read_text())
    del manifest["fingerprint"]
    write_manifest(place / "data/source", Manifest(**{**manifest, "params": {"dataset": "crohme"}}))
    with pytest.raises(LatexifyError, match="name the dataset"):
        read(place)


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
    assert replace(facts, origins=[ORIGINS[data]], base_licence=base).licence == expected


def test_the_licence_of_the_base_is_read_from_its_card(place: Path) -> None:
    """The model that comes with the project is the base of most."""
    manifest = json.loads((place / "data/model/manifest.json").read_text())
    del manifest["fingerprint"]
    manifest["params"]["model"]["base"] = str(place / "base")
    write_manifest(place / "data/model", Manifest(**manifest))
    assert read(place, with_figures=False).licence == "apache-2.0"
    (place / "base").mkdir()
    (place / "base/README.md").write_text("---\nlicense: cc-by-nc-sa-3.0\n---\n# base\n")
    facts = read(place, with_figures=False)
    assert facts.licence == "cc-by-nc-sa-3.0"
    assert "seen no person's handwriting" not in build_card(facts, repo="me/formulas")
    (place / "base/README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(LatexifyError, match=r"is no model card .*: mend its front matter"):
        read(place, with_figures=False)


def test_an_unknown_licence_must_be_stated(facts: CardFacts) -> None:
    """Nobody but the publisher knows the terms of his own inks."""
    own = replace(facts, dataset="inkml", origins=[ORIGINS["inkml"]])
    with pytest.raises(LatexifyError, match="name it with --license"):
        build_card(own, repo="me/formulas")
    assert ModelCard(build_card(own, repo="me/formulas", licence="mit")).data.license == "mit"


def test_a_fine_tuned_model_names_its_base(facts: CardFacts) -> None:
    """The terms of the model that training started from hold for the result."""
    params = {**facts.manifest.params, "model": {"base": "microsoft/trocr-base-handwritten", "base_version": None}}
    card = build_card(replace(facts, manifest=replace(facts.manifest, params=params)), repo="me/formulas")
    assert ModelCard(card).data.base_model == "microsoft/trocr-base-handwritten"
    assert "Those of `microsoft/trocr-base-handwritten` apply as well." in card


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "model.safetensors"])
def test_half_a_model_is_refused(place: Path, name: str) -> None:
    """What cannot be loaded must not be published."""
    (place / "data/model" / name).unlink()
    with pytest.raises(LatexifyError, match=rf"no whole model \({name} missing\)"):
        read(place)


def test_weights_cut_short_are_refused(place: Path) -> None:
    """A disk that was full while the model was copied leaves a file that begins well."""
    weights = place / "data/model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(LatexifyError, match=r"model\.safetensors is damaged"):
        read(place)


def test_every_dataset_has_its_terms() -> None:
    """A dataset that is added without its licence would be published without one."""
    assert set(get_args(DatasetName)) == set(ORIGINS)


def test_what_inks_were_composed_with_is_named() -> None:
    """Symbols and formulas of others keep their owners' terms inside composed inks."""
    composed = {"symbol_files": ["symbols/detexify.jsonl.xz"], "formulas": ["wikipedia-formulas.txt.xz", "own.txt"]}
    found = origins({"dataset": "crohme", "composed": composed})
    assert [origin.terms for origin in found] == [
        "CC BY-NC-SA 3.0",
        "ODbL 1.0",
        "CC BY-SA",
        "as the publisher states",
    ]
    assert "own.txt" in found[-1].title
