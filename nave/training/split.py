"""Which images are kept for validation."""

from collections.abc import Sequence

from nave.data.seed import seed_of


def held_out(image_ids: Sequence[str], share: float) -> tuple[list[int], list[int]]:
    """Positions to learn from and positions to validate on: the same for every seed, so that trainings compare.

    An image's place depends on its id; ``share`` of 0 keeps none, any other at least one.

    Raises:
        ValueError: for a share outside 0 to 1 (exclusive), or one that leaves nothing to learn from.
    """
    if not 0 <= share < 1:
        raise ValueError(f"validation={share}: give a share from 0 to below 1, or keys of the second data set")
    count = max(1, round(share * len(image_ids))) if share else 0
    order = sorted(range(len(image_ids)), key=lambda position: seed_of(image_ids[position]))
    if count == len(order):
        raise ValueError(f"validation={share} of {len(order)} images leaves none to learn from; give validation=0")
    return sorted(order[count:]), sorted(order[:count])
