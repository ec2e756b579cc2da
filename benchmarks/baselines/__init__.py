"""What the pipeline is compared with: the project that it grew from, and PNG files with a CSV."""
