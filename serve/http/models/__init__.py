"""Models that read the batches of the service: in its own process and, with `--workers`, in others."""
