"""The offline half: InkML in, WebDataset shards out. Never imports torch."""
