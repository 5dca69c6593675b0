import numpy as np
from PIL import Image

from nave.photographs import keep, photograph_path, shrunk


def test_the_longer_side_is_limited_and_nothing_is_enlarged():
    assert shrunk(Image.new("RGB", (1000, 500)), 640).size == (640, 320)
    assert shrunk(Image.new("RGB", (500, 1000)), 640).size == (320, 640)
    assert shrunk(Image.new("RGB", (30, 20)), 640).size == (30, 20)
    assert shrunk(Image.new("RGB", (5000, 1)), 640).size == (640, 1)


def test_a_copy_is_written_once_also_for_an_id_with_folders(tmp_path):
    keep(Image.new("RGB", (80, 60), (200, 10, 10)), tmp_path, "trip/beach", 40)
    path = photograph_path(tmp_path, "trip/beach")
    keep(Image.new("RGB", (80, 60)), tmp_path, "trip/beach", 40)
    with Image.open(path) as image:
        assert image.size == (40, 30)
        assert np.asarray(image)[..., 0].mean() > 150
