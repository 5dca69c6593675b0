"""Random predictions with many edge cases: ties, overlaps of exactly one half, no boxes, unknown truth."""

import numpy as np
import pytest

from nave.data.interface import GroundTruth
from nave.metrics.prediction import Prediction


def boxes(generator, count, side=8):
    """Integer corners on a small grid, so that equal overlaps and overlaps of exactly 0.5 are common."""
    corner = generator.integers(0, side, (count, 2))
    return np.concatenate([corner, corner + generator.integers(1, side, (count, 2))], axis=1).astype(np.float64)


def near(generator, targets):
    """Boxes a pixel away from some of the targets, so that matches at every threshold are common too."""
    moved = targets + generator.integers(-1, 2, targets.shape)
    moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
    return moved


def ground_truth(generator):
    count = int(generator.integers(0, 5))
    classes = tuple(generator.choice(["cat", "dog", "ox"], count).tolist())
    return GroundTruth(boxes(generator, count), classes, tuple((generator.random(count) < 0.3).tolist()))


def prediction(generator, image_id):
    truth = None if generator.random() < 0.1 else ground_truth(generator)
    matching = near(generator, truth.boxes[: generator.integers(0, 4)]) if truth else np.empty((0, 4))
    components = np.concatenate([matching, boxes(generator, int(generator.integers(0, 5)))])
    inner = near(generator, components)
    scores = generator.integers(0, 4, len(components)) / 4
    box = components[0] if len(components) and generator.random() < 0.9 else None
    return Prediction(image_id, box, components, inner, scores, truth)


def random_run(seed):
    generator = np.random.default_rng(seed)
    return [prediction(generator, f"image{index:02}") for index in generator.permutation(generator.integers(0, 9))]


@pytest.fixture(scope="session")
def run():
    """``run(seed)``: the predictions of one small random run, in random order."""
    return random_run
