"""Old names of parameters, for the ``params.yaml`` files, model folders and runs that still carry them."""

from collections.abc import Mapping
from typing import Any

# current name of each renamed parameter, both as ``section.name``
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
# current value of each renamed value, by the current name of its parameter
RENAMED_VALUES: Mapping[str, Mapping[str, str]] = {"train.schedule": {"linear-end": "wsd"}}


def with_current_names(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return sections of parameters, such as ``params`` of a manifest, with old names and values replaced."""
    return replace_old_names(sections)[0]


def replace_old_names(sections: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Replace old names and values; also return a line for each. Entries that are not sections are kept."""
    replaced: dict[str, Any] = dict(sections)
    lines = []
    for section, values in sections.items():
        if not isinstance(values, Mapping):
            continue
        replaced[section] = {}
        for old_name, old_value in values.items():
            old, value = f"{section}.{old_name}", old_value
            name = RENAMED_PARAMS.get(old, old)
            if name != old:
                lines.append(f"{old} is now {name}")
            if isinstance(value, str) and value in RENAMED_VALUES.get(name, {}):
                value = RENAMED_VALUES[name][value]
                lines.append(f"{name}: `{old_value}` is now `{value}`")
            replaced[section][name.removeprefix(f"{section}.")] = value
    return replaced, lines
