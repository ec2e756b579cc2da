"""Training and inference: shards in, a TrOCR model folder out. Never imports cairo."""
