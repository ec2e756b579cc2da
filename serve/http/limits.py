"""What the service takes from strangers, and for how long it bears with them."""

from dataclasses import dataclass

MAX_BEAMS = 8
"""Of one request: the time of the model grows with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one request, and of all requests together. Memory and time of the service follow from them."""

    max_body_bytes: int = 8_000_000
    """A photograph of a telephone has 2 to 6 MB."""
    max_held_bytes: int = 256_000_000
    """Bodies of all requests that are being received or read."""
    max_items: int = 32
    """Inks and images of one request."""
    max_strokes: int = 2_000
    """Of all inks of one request together."""
    max_points: int = 50_000
    """Of all inks of one request together; a page of handwriting has about 10,000."""
    max_ink_bytes: int = 2_000_000
    """Of one InkML file: reading one of this size takes at most half a second, whatever it holds."""
    max_pixels: int = 50_000_000
    """Of one image, by its header: what telephones make."""
    body_timeout_s: float = 10.0
    """For a body to arrive."""
    answer_timeout_s: float = 30.0
    """From the end of the body to the answer."""
