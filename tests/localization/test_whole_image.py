import torch

from tests.helpers.parts import localizer, tokens


def test_one_label_and_one_box():
    labels, localization = localizer("whole_image")(None, tokens(torch.zeros(1, 2, 2), (28, 28), (20, 25)))
    assert labels.shape == (20, 25)
    assert not labels.any()
    assert localization.box == (0, 0, 25, 20)
