"""The vocab stage: the tokenizer of the labels."""
