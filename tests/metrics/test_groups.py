"""CorLoc of groups against counting pixels."""

from dataclasses import replace

import numpy as np

from nave.data.interface import GroundTruth
from nave.metrics.groups import GroupTally, by_class, by_size
from nave.metrics.prediction import Prediction


def per_group(group, images, **options):
    tally = GroupTally(group, **options)
    for image in images:
        tally.add([image])
    return tally.scores()


NO_BOXES = np.empty((0, 4))


def image_of_classes(image_id, box, truth, classes, hard=None):
    truth = np.array(truth, np.float64).reshape(-1, 4)
    known = GroundTruth(truth, tuple(classes), hard or (False,) * len(truth))
    return Prediction(image_id, np.array(box, np.float64), NO_BOXES, NO_BOXES, np.empty(0), known)


IMAGES = [
    image_of_classes("a", [0, 0, 10, 10], [[0, 0, 10, 10], [50, 50, 60, 60]], ["cat", "dog"]),
    image_of_classes("b", [0, 0, 10, 10], [[0, 0, 10, 9], [30, 30, 40, 40]], ["dog", "dog"]),
    image_of_classes("c", [0, 0, 10, 10], [[20, 0, 30, 10]], ["cat"], (True,)),
    image_of_classes("empty", [0, 0, 10, 10], [], []),
]


def values(figures):
    return {name: (figure["value"], figure["images"]) for name, figure in figures.items()}


def test_a_hit_must_be_of_the_class():
    assert values(per_group(by_class, IMAGES)) == {"cat": (50, 2), "dog": (50, 2)}
    assert values(per_group(by_class, IMAGES, hard=False)) == {"cat": (100, 1), "dog": (50, 2)}
    assert values(per_group(by_class, IMAGES, iou=0.95)) == {"cat": (50, 2), "dog": (0, 2)}


def test_a_hit_must_be_of_the_size():
    images = [
        image_of_classes("small", [0, 0, 10, 10], [[0, 0, 10, 10], [0, 0, 200, 200]], ["x", "x"]),
        image_of_classes("bounds", [0, 0, 32, 32], [[0, 0, 32, 32], [0, 0, 96, 96]], ["x", "x"]),
    ]
    assert values(per_group(by_size, images)) == {"small": (100, 1), "medium": (100, 1), "large": (0, 2)}


def literal_per_class(images):
    totals, hits = {}, {}
    for image in images:
        for name in set(image.truth.classes) if image.truth else ():
            totals[name] = totals.get(name, 0) + 1
            for box, other in zip(image.truth.boxes, image.truth.classes, strict=True):
                if other == name and image.box is not None and pixel_iou(image.box, box) >= 0.5:
                    hits[name] = hits.get(name, 0) + 1
                    break
    return {name: (round(100 * hits.get(name, 0) / total, 4), total) for name, total in totals.items()}


def pixel_iou(a, b):
    """Overlap by counting the pixels of integer boxes."""
    mine = {(x, y) for x in range(int(a[0]), int(a[2])) for y in range(int(a[1]), int(a[3]))}
    yours = {(x, y) for x in range(int(b[0]), int(b[2])) for y in range(int(b[1]), int(b[3]))}
    return len(mine & yours) / len(mine | yours)


def test_per_class_equals_counting_pixels(run, monkeypatch):
    monkeypatch.setattr("nave.metrics.bootstrap.intervals", lambda figures, *_, **__: [(0.0, 0.0)] * len(figures))
    for seed in range(100):
        images = run(seed)
        assert values(per_group(by_class, images)) == literal_per_class(images), f"seed {seed}"


def test_order_of_images_does_not_change_the_figures_of_classes():
    assert list(per_group(by_class, IMAGES[::-1]).items()) == list(per_group(by_class, IMAGES).items())


def test_an_image_without_a_box_is_a_miss():
    assert values(per_group(by_class, [replace(IMAGES[0], box=None)])) == {"cat": (0, 1), "dog": (0, 1)}
