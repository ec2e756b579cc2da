"""The folders of trainings in runs/: what they hold, and what may be removed. Needs no torch."""
