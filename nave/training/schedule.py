"""The learning rate: a linear rise, then half a cosine down to nothing."""

import math


def warm_cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the full learning rate at ``step`` of ``steps``, the first ``warmup`` of which rise."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
