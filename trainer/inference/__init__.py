"""Inference with trained models: encoders, a decoder that runs one token at a time, greedy and beam search.

The arithmetic is that of transformers' modules (tests compare them), without the generality that takes most of the time
of a small model and seconds of imports. torch and onnxruntime both implement `runtime`; the search itself is NumPy.
"""
