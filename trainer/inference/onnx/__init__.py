"""Inference by onnxruntime, and the export of its graphs."""
