"""`make bench`: rates beside the baseline and the targets."""
