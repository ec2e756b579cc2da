"""The pipeline: from InkML to WebDataset shards. It never imports torch."""
