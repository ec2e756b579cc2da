"""The inks folder: strokes, labels and rejections as Parquet."""
