"""Inks and images for schemathesis, which cannot make them from a schema: `SCHEMATHESIS_HOOKS` names this module."""

import base64
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st

from tests.support.handwriting import encoded

STROKE = np.pad(np.zeros((30, 4), np.float32), 20, constant_values=255)
IMAGES = [encoded(STROKE, kind) for kind in ("PNG", "JPEG")]
INKS = [b'<ink xmlns="http://www.w3.org/2003/InkML"><trace>0 0, 9 9</trace></ink>']

schemathesis.openapi.format("inkml", st.sampled_from([file.decode() for file in INKS]))
schemathesis.openapi.format("base64-image", st.sampled_from([base64.b64encode(file).decode() for file in IMAGES]))
schemathesis.openapi.format("symbols", st.sampled_from(["x 2", "x", "letters"]))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from([*IMAGES, *INKS]))


@schemathesis.hook
def filter_body(context: Any, body: Any) -> bool:
    """Leave out lists whose items only hold other texts than inks and images: each is an error of its item, not 4xx."""
    items = body.get("items") if context.operation.path == "/recognize/batch" and isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= 32:
        return True
    return not all(isinstance(item, dict) and len(item) == 1 for item in items) or not any(
        _is_text(item) for item in items
    )


def _is_text(item: dict[str, Any]) -> bool:
    text = item.get("inkml", item.get("image"))
    return isinstance(text, str) and text.encode() not in {*INKS, *map(base64.b64encode, IMAGES)}
