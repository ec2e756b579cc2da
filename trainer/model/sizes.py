"""Encoders that also take pictures smaller than the canvas: they see the positions of its middle.

transformers' own classes would stretch all positions to a small picture, or refuse it. The ink is in the middle of the
canvas, so cutting keeps the distance between two positions, and a picture padded to the whole canvas keeps its own. The
weights and the configuration do not change: plain transformers runs the model on whole canvases.
"""

from typing import Any

import torch
from transformers import VisionEncoderDecoderModel
from transformers.models.dpt.modeling_dpt import DPTViTHybridEmbeddings
from transformers.models.vit.modeling_vit import ViTEmbeddings

from latexify.common.errors import LatexifyError
from latexify.trainer.model.canvas import Geometry
from latexify.trainer.model.positions import middle, pair


class _HybridEmbeddings(DPTViTHybridEmbeddings):  # type: ignore[misc]  # transformers has no types for it
    def forward(self, pixel_values: torch.Tensor, interpolate_pos_encoding: bool = False) -> Any:  # noqa: FBT001, FBT002  # as in transformers
        del interpolate_pos_encoding  # without it, transformers refuses other sizes
        return super().forward(pixel_values, interpolate_pos_encoding=True)

    def _resize_pos_embed(
        self, posemb: torch.Tensor, grid_size_height: int, grid_size_width: int, start_index: int = 1
    ) -> Any:
        canvas = (self.image_size[0] // self.patch_size, self.image_size[1] // self.patch_size)
        resized = super()._resize_pos_embed(posemb, *canvas, start_index)
        return _cut(resized, num_special=start_index, canvas=canvas, picture=(grid_size_height, grid_size_width))


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
        del embeddings
        cell_height, cell_width = pair(self.patch_size)
        canvas = (self.image_size[0] // cell_height, self.image_size[1] // cell_width)
        picture = (height // cell_height, width // cell_width)
        return _cut(self.position_embeddings, num_special=1, canvas=canvas, picture=picture)


_CLASSES = {DPTViTHybridEmbeddings: _HybridEmbeddings, ViTEmbeddings: _ViTEmbeddings}


def take_smaller_pictures(model: VisionEncoderDecoderModel, geometry: Geometry) -> None:
    """Let the encoder take pictures that are smaller than the canvas by the steps of its geometry, if it has any.

    Raises LatexifyError if it is of another kind, or the steps are not multiples of its cells.
    """
    if not geometry.has_sizes:
        return
    embeddings = model.encoder.embeddings
    if type(embeddings) not in _CLASSES:
        raise LatexifyError(
            f"an encoder of type {model.config.encoder.model_type} takes pictures of one size only: "
            "set rasterize.width_step_px and height_step_px to null"
        )
    cell = pair(model.config.encoder.patch_size)[0]  # the width of a hybrid's cells is their height
    steps = {"width_step_px": geometry.width_step_px, "height_step_px": geometry.height_step_px}
    for name, step_px in steps.items():
        if step_px is not None and step_px % (2 * cell):
            raise LatexifyError(
                f"the encoder divides pictures into cells of {cell} px, as many on both sides of the middle: make "
                f"rasterize.{name} a multiple of {2 * cell} (found {step_px})"
            )
    # the class alone changes, so that the names of the weights stay
    embeddings.__class__ = _CLASSES[type(embeddings)]


def _cut(
    positions: torch.Tensor, *, num_special: int, canvas: tuple[int, int], picture: tuple[int, int]
) -> torch.Tensor:
    """Keep the middle of a grid of rows and columns.

    positions: [1, num_special + rows * columns, size], row by row; the result likewise. canvas, picture: rows, columns.
    """
    if picture == canvas:
        return positions
    grid = positions[:, num_special:].reshape(1, *canvas, -1).movedim(3, 1)  # [1, size, rows, columns]
    kept = middle(grid, *picture).movedim(1, 3).flatten(1, 2)
    return torch.cat([positions[:, :num_special], kept], dim=1)
