"""The rasterize stage: inks in, WebDataset shards out."""
