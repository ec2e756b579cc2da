"""Training data: its order, batches and augmentation."""
