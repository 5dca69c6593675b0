import numpy as np

from nave.localization.components import Component
from nave.localization.on_object import object_share


def test_only_the_pixels_of_the_component_count():
    labels = np.zeros((6, 8), np.uint8)
    labels[1:5, 1] = labels[4, 1:6] = 1  # an L of 8 pixels
    labels[1:3, 4:6] = 1  # another region of the cluster, inside the box of the L
    mask = np.zeros((6, 8), int)
    mask[:, 4:] = 7
    component = Component(1, 8, (1, 1, 6, 5), (1, 1, 6, 5))
    assert object_share(labels, mask, component) == 2 / 8
    mask[4] = 255  # not annotated
    assert object_share(labels, mask, component) == 0
    assert object_share(labels, np.full((6, 8), 255), component) is None
