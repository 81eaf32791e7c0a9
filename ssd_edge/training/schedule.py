"""Learning-rate schedules over the progress of a run."""

from __future__ import annotations

import math
from typing import Literal

ScheduleName = Literal["cosine", "steps"]

_FINAL_COSINE_FACTOR = 0.01
_STEPS = ((100 / 120, 0.01), (80 / 120, 0.1))


def learning_rate_factor(progress: float, *, schedule: ScheduleName, warmup_share: float) -> float:
    """Return what to multiply the peak learning rate by, in 0..1.

    Args:
        progress: share of the run that is done in the middle of the step, 0..1.
        schedule: ``cosine`` falls to 1/100 along half a cosine (SGDR, arXiv 1608.03983, equation 5); ``steps`` is the
            paper's: a tenth after two thirds of the run and again after five sixths (40,000, 10,000 and 10,000
            iterations in SSD, section 3.1; 80,000, 20,000 and 20,000 in its authors' code).
        warmup_share: share of the run in which the rate rises linearly from 0; the paper has none.
    """
    if progress < warmup_share:
        return progress / warmup_share
    if schedule == "steps":
        return next((factor for start, factor in _STEPS if progress >= start), 1.0)
    annealed = (progress - warmup_share) / (1 - warmup_share)
    return _FINAL_COSINE_FACTOR + (1 - _FINAL_COSINE_FACTOR) * (1 + math.cos(math.pi * min(annealed, 1.0))) / 2
