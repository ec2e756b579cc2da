"""Inference by onnxruntime, and the export of the graphs that it runs."""
