"""The contract between the offline and the online half.

Nothing in this room imports another room of the project, and only :mod:`shards.stream` users import torch: a rendering
machine needs no GPU stack, a training machine no cairo.
"""
