"""The learning rate as a pure function of the optimizer step, so that resuming needs no schedule state."""

import math

from latexify.trainer.config import TrainParams

LINEAR_END_SHARE = 0.2
"""RankShare of all steps over which `wsd` falls to zero."""


def learning_rate(step: int, params: TrainParams) -> float:
    """Learning rate of optimizer step `step`, counted from 0 (a skipped step is not counted).

    The warm-up rises linearly and reaches the full rate at step `warmup_steps`; the first step already learns.
    """
    if step < params.warmup_steps:
        return params.learning_rate * (step + 1) / (params.warmup_steps + 1)
    return params.learning_rate * _decay(step, params)


def _decay(step: int, params: TrainParams) -> float:
    """RankShare of the full rate after the warm-up: 1 to 0. Zero would be reached one step after the last."""
    if params.schedule == "cosine":
        after_warmup = max(params.max_steps - params.warmup_steps, 1)
        return 0.5 * (1 + math.cos(math.pi * (step - params.warmup_steps) / after_warmup))
    if params.schedule == "wsd":
        end_steps = max(params.max_steps * LINEAR_END_SHARE, 1)
        return min(1.0, (params.max_steps - step) / end_steps)
    return 1.0
