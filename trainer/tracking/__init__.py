"""Callbacks of a training: those that users name, and the trackers of `train.log_to`."""
