"""Parquet schemas of inks and rejections (`latexify.pipeline.inks.ink`)."""

import pyarrow as pa


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


TOKEN_IDS = pa.list_(_required("item", pa.int32()))
"""Arrow type of a label's token ids: with the end id, without a start id."""

INK_SCHEMA = pa.schema(
    [
        *(_required(name, pa.string()) for name in ("key", "split", "label", "normalized_label")),
        # x and y interleaved, all strokes of the ink one after another
        _required("points", pa.list_(_required("item", pa.float32()))),
        # number of points of each stroke, in writing order
        _required("stroke_lengths", pa.list_(_required("item", pa.int32()))),
        pa.field("writer", pa.string()),
        _required("source", pa.string()),
        # `latexify.pipeline.inks.table.content_hashes`
        _required("content_hash", pa.string()),
        _required("num_strokes", pa.int32()),
        _required("num_points", pa.int32()),
    ]
)

PICTURE_SCHEMA = pa.schema(
    [
        *INK_SCHEMA,
        # factor of the canvas's largest stroke
        _required("stroke_scale", pa.float64()),
        # `CroppedPicture`, null if the row has strokes
        pa.field("picture", pa.struct([_required("png", pa.binary()), pa.field("usual_stroke_px", pa.float64())])),
    ]
)
"""Schema of the rows of pictures. One that is not traced has no strokes."""

REJECT_SCHEMA = pa.schema([_required(name, pa.string()) for name in ("key", "source", "reason", "detail")])
