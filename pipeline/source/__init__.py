"""The source stage: generate, download or list the InkML."""
