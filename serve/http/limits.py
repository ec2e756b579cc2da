"""Limits of the service: how much it accepts from a client, and how long it waits."""

from dataclasses import dataclass

MAX_BEAMS = 8  # largest beam width of a request. The time of the model grows with it.
MAX_ONLY_CHARS = 2_000  # longest list of symbols that a request limits its answers to


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one request, and of all requests together. They bound the memory and time of the service."""

    max_requests: int = 512  # in progress, from the head to the end of the answer; probes do not count
    max_body_bytes: int = 8_000_000  # a phone's photograph has 2 to 6 MB
    max_held_bytes: int = 96_000_000  # bodies of all requests that are being received or processed
    max_items: int = 32  # inks and images in one request
    max_strokes: int = 2_000  # of all inks in one request together
    max_points: int = 50_000  # of all inks in one request together; a page of handwriting has about 10,000
    max_coordinate: float = 1e30  # beyond this, distances between points overflow
    max_ink_bytes: int = 2_000_000
    """Of one InkML file. Parsing this much takes at most half a second, whatever it contains."""
    max_pixels: int = 50_000_000  # of one image, by its header. Phones take this many.
    max_decoding_bytes: int = 200_000_000  # of all images that are decoded at a time: 50 million coloured pixels
    body_timeout_s: float = 10.0  # time for a body to arrive
    answer_timeout_s: float = 30.0  # time from the end of the body to the answer
