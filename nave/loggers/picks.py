"""Which images are worth a look when there is room for some."""

import random
from collections.abc import Mapping


def picks(overlaps: Mapping[str, float | None], count: int, seed: int) -> dict[str, str]:
    """``worst``, ``best`` or ``random`` by image id: a third each, in this order, never one image twice.

    Judged by the one box's overlap with the truth, ties by image id; images without known objects can only be picked
    at random. The same images come for the same overlaps, count and seed.
    """
    judged = sorted((overlap, image_id) for image_id, overlap in overlaps.items() if overlap is not None)
    third = min(count // 3, len(judged) // 2)
    worst = [image_id for _, image_id in judged[:third]]
    best = [image_id for _, image_id in sorted(judged[len(judged) - third :], key=lambda one: (-one[0], one[1]))]
    others = sorted(overlaps.keys() - set(worst) - set(best))
    drawn = random.Random(seed).sample(others, min(count - 2 * third, len(others)))
    groups = {"worst": worst, "best": best, "random": sorted(drawn)}
    return {image_id: group for group, ids in groups.items() for image_id in ids}
