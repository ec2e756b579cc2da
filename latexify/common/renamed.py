"""Old names of parameters, for the ``params.yaml`` files, model folders and runs that still carry them."""

from collections.abc import Mapping
from typing import Any

RENAMED_PARAMS: Mapping[str, str] = {
    "composed.shares": "composed.label_mix",
    "ingest.max_reject_rate": "ingest.max_reject_fraction",
    "train.augmentation": "train.augment_strength",
    "train.clip_norm": "train.max_grad_norm",
    "train.layer_decay": "train.layerwise_lr_decay",
    "train.max_damaged_rate": "train.max_damaged_fraction",
    "train.patience": "train.early_stopping_patience",
    "train.window": "train.shuffle_window",
}
"""Current name of each renamed parameter, both as ``section.name``."""

RENAMED_VALUES: Mapping[str, Mapping[str, str]] = {"train.schedule": {"linear-end": "wsd"}}
"""Current value of each renamed value, by the current name of its parameter."""


def with_current_names(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with old names and values replaced by the current ones.

    Args:
        sections: Sections of parameters by name, such as ``params`` of a manifest. Entries that are not sections are
            kept as they are.
    """
    return {
        section: _rename_section(section, values) if isinstance(values, Mapping) else values
        for section, values in sections.items()
    }


def _rename_section(section: str, values: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {}
    for old_name, value in values.items():
        name = RENAMED_PARAMS.get(f"{section}.{old_name}", f"{section}.{old_name}")
        new_values = RENAMED_VALUES.get(name, {}) if isinstance(value, str) else {}
        renamed[name.removeprefix(f"{section}.")] = new_values.get(value, value)
    return renamed
