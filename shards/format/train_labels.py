"""The labels that a model was trained on, which tell whether an evaluated formula is new to it."""

import pyarrow as pa
import pyarrow.compute as pc

from latexify.artifacts.location import Location
from latexify.artifacts.manifest import read_manifest
from latexify.artifacts.names import SHARDS
from latexify.shards.format.index import open_split


def read_train_labels(shards: Location) -> pa.Array | None:
    """Return the distinct normalised labels of the training split; None if a folder of shards has no such samples.

    Raises LatexifyError if the folder is incomplete.
    """
    if not read_manifest(shards, SHARDS).content["splits"].get("train", {}).get("num_samples"):
        return None
    return pc.unique(open_split(shards, "train").labels)
