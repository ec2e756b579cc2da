"""Encoders that also take pictures narrower than the canvas: they see the positions of its middle columns.

transformers' own classes would stretch all positions to a narrow picture, or refuse it. The ink is in the middle of the
canvas, so cutting keeps the distance between two positions, and a picture padded to the whole canvas keeps its own. The
weights and the configuration do not change: plain transformers runs the model on whole canvases.
"""

from typing import Any

import torch
from transformers import VisionEncoderDecoderModel
from transformers.models.dpt.modeling_dpt import DPTViTHybridEmbeddings
from transformers.models.vit.modeling_vit import ViTEmbeddings

from latexify.common.errors import LatexifyError
from latexify.trainer.model.positions import middle_columns, pair


class _HybridEmbeddings(DPTViTHybridEmbeddings):  # type: ignore[misc]  # transformers has no types for it
    def forward(self, pixel_values: torch.Tensor, interpolate_pos_encoding: bool = False) -> Any:  # noqa: FBT001, FBT002  # as in transformers
        del interpolate_pos_encoding  # without it, transformers refuses other sizes
        return super().forward(pixel_values, interpolate_pos_encoding=True)

    def _resize_pos_embed(
        self, posemb: torch.Tensor, grid_size_height: int, grid_size_width: int, start_index: int = 1
    ) -> Any:
        columns = self.image_size[1] // self.patch_size
        resized = super()._resize_pos_embed(posemb, grid_size_height, columns, start_index)
        return _cut(resized, num_special=start_index, columns=columns, count=grid_size_width)


class _ViTEmbeddings(ViTEmbeddings):  # type: ignore[misc]
    def forward(
        self,
        pixel_values: torch.Tensor,
        bool_masked_pos: torch.BoolTensor | None = None,
        interpolate_pos_encoding: bool = False,  # noqa: FBT001, FBT002  # as in transformers
    ) -> Any:
        del interpolate_pos_encoding
        return super().forward(pixel_values, bool_masked_pos, interpolate_pos_encoding=True)

    def interpolate_pos_encoding(self, embeddings: torch.Tensor, height: int, width: int) -> torch.Tensor:
        del embeddings, height
        cell = pair(self.patch_size)[1]
        return _cut(self.position_embeddings, num_special=1, columns=self.image_size[1] // cell, count=width // cell)


_CLASSES = {DPTViTHybridEmbeddings: _HybridEmbeddings, ViTEmbeddings: _ViTEmbeddings}


def take_narrow_pictures(model: VisionEncoderDecoderModel, *, step_px: int) -> None:
    """Let the encoder take pictures that are narrower than the canvas by a multiple of `step_px`.

    Raises LatexifyError if it is of another kind, or the steps are not multiples of its cells.
    """
    embeddings = model.encoder.embeddings
    if type(embeddings) not in _CLASSES:
        raise LatexifyError(
            f"an encoder of type {model.config.encoder.model_type} takes pictures of one width only: "
            "set rasterize.width_step_px to null"
        )
    cell = pair(model.config.encoder.patch_size)[0]  # the width of a hybrid's cells is their height
    if step_px % (2 * cell):
        raise LatexifyError(
            f"the encoder divides pictures into cells of {cell} px, as many on both sides of the middle: make "
            f"rasterize.width_step_px a multiple of {2 * cell} (found {step_px})"
        )
    # the class alone changes, so that the names of the weights stay
    embeddings.__class__ = _CLASSES[type(embeddings)]


def _cut(positions: torch.Tensor, *, num_special: int, columns: int, count: int) -> torch.Tensor:
    """Keep the middle columns. positions: [1, num_special + rows * columns, size], row by row; the result likewise."""
    if count == columns:
        return positions
    size = positions.shape[2]
    grid = positions[:, num_special:].reshape(1, -1, columns, size).transpose(2, 3)  # [1, rows, size, columns]
    middle = middle_columns(grid, count).transpose(2, 3).flatten(1, 2)
    return torch.cat([positions[:, :num_special], middle], dim=1)
