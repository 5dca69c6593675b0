"""Figures over images with 95 % intervals, and the difference between two runs on the images that both have."""

from collections.abc import Mapping

import numpy as np

from nave.metrics.bootstrap import Score, mean, score

PerImage = Mapping[str, float]  # a figure between 0 and 1 (a difference: -1 and 1) by image_id


def average(figures: PerImage, *, seed: int = 0) -> Score:
    """Mean over images, in percent."""
    return score(mean(np.array(list(figures.values()))), len(figures), seed=seed)


def difference(ours: PerImage, theirs: PerImage, *, seed: int = 0) -> Score:
    """Mean of ours minus theirs over the images that both have, in points of a percent.

    Resampling images, not runs: what all images share (the seed of a training) is not in the interval.
    """
    common = [image_id for image_id in ours if image_id in theirs]
    gains = np.array([ours[image_id] - theirs[image_id] for image_id in common])
    return score(mean(gains), len(common), seed=seed)
