"""Parameters under their old names, as params.yaml files, model folders and runs of before still hold them."""

import json

from latexify.common.renamed import RENAMED_PARAMS, RENAMED_VALUES, with_current_names
from latexify.common.section import Section
from latexify.params import Params
from tests.support.repository import REPOSITORY


def test_each_new_name_is_a_parameter_and_no_old_name_is() -> None:
    """A message that names a parameter that does not exist would send people in circles."""
    sections = {name: set(type(section).model_fields) for name, section in Params() if isinstance(section, Section)}
    for old, new in RENAMED_PARAMS.items():
        section, name = new.split(".")
        assert name in sections[section]
        assert old.split(".")[1] not in sections[section]
    for section, name in (full_name.split(".") for full_name in RENAMED_VALUES):
        assert name in sections[section]


def test_an_old_section_becomes_a_valid_one() -> None:
    """All old names at once, with values that are kept, and a value that was renamed."""
    old = {"train": {"clip_norm": 2.0, "window": 9, "schedule": "linear-end", "beta2": 0.9}, "seed": 3}
    assert with_current_names(old) == {
        "train": {"max_grad_norm": 2.0, "shuffle_window": 9, "schedule": "wsd", "beta2": 0.9},
        "seed": 3,
    }
    assert with_current_names(with_current_names(old)) == with_current_names(old)


def test_the_manifest_of_the_shipped_model_has_current_names_afterwards() -> None:
    """It was trained before the parameters were renamed."""
    manifest = json.loads((REPOSITORY / "models/crohme-small/manifest.json").read_text())
    params = with_current_names(manifest["params"])
    Params.model_validate({"train": params["train"]})
    assert params["train"]["augment_strength"] == 0.5
    assert params["geometry"] == manifest["params"]["geometry"]
