"""Stage ``vocab``: the tokenizer of the labels."""
