"""Training data: what to read, in which order, and how it becomes batches."""
