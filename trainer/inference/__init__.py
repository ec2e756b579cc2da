"""Reading pictures with trained weights: encoders, the decoder a token at a time, greedy and beam search.

The same arithmetic as transformers' modules (the tests compare them), without what generality costs there: most of the
time of a small model, and seconds of imports. Needs torch alone.
"""
