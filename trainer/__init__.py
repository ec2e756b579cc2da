"""The online half: a stream of shards in, a fine-tuned TrOCR folder out. Never imports cairo."""
