import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nave.viz.overlay import BLACK, WHITE, indexed, overlay, palette, shrunk
from nave.viz.palette import PALETTE


def test_pixels_of_a_map_are_its_ids_whatever_its_colours():
    labels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    image = indexed(labels, palette_index=(5, 4, 3, 2, 1, 0))
    assert np.array_equal(np.asarray(image), labels)
    assert image.convert("RGB").getpixel((0, 0)) == PALETTE[5]
    assert indexed(labels).convert("RGB").getpixel((0, 0)) == PALETTE[0]


def photograph(height, width, value=128):
    return Image.new("RGB", (width, height), (value,) * 3)


def test_light_and_shade_show_through_the_clusters():
    labels = np.zeros((40, 40), np.uint8)
    dark, light = (np.asarray(overlay(photograph(40, 40, value), labels)).astype(int) for value in (20, 220))
    assert (light - dark).min() > 100


def test_clusters_have_the_colours_of_their_palette_indices():
    labels = np.zeros((40, 40), np.uint8)
    swapped = overlay(photograph(40, 40), labels, colours_of=palette((3,)))
    assert np.array_equal(np.asarray(swapped), np.asarray(overlay(photograph(40, 40), labels + 3)))


def test_boundaries_are_white_and_the_rest_is_not():
    labels = np.zeros((40, 40), np.uint8)
    labels[:, 20:] = 1
    pixels = np.asarray(overlay(photograph(40, 40), labels))
    assert (pixels == 255).all(axis=2).sum() == 40


def test_the_box_is_closed_and_the_truth_is_dashed():
    labels = np.zeros((100, 100), np.uint8)
    box = np.asarray(overlay(photograph(100, 100), labels, box=(10, 20, 60, 80)))
    assert (box[20, 10:60] == BLACK).all()
    assert (box[79, 10:60] == BLACK).all()
    assert (box[20:80, 10] == BLACK).all()
    assert (box[20:80, 59] == BLACK).all()
    assert (box[21, 11:59] == WHITE).all()
    truth = np.asarray(overlay(photograph(100, 100), labels, truth=[(10, 20, 60, 80)]))
    black = (truth[20, 10:60] == BLACK).all(axis=1)
    assert black[0]
    assert black[-1]
    assert 0.3 < black.mean() < 0.8


@given(st.integers(1, 60), st.integers(1, 60), st.data())
@settings(deadline=None)
def test_no_box_is_drawn_outside_itself(height, width, data):
    x1, y1 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, width)), data.draw(st.integers(y1 + 1, height))
    labels = np.zeros((height, width), np.uint8)
    plain, drawn = (
        overlay(photograph(height, width), labels),
        overlay(photograph(height, width), labels, box=(x1, y1, x2, y2), truth=[(x1, y1, x2, y2)]),
    )
    changed = (np.asarray(plain) != np.asarray(drawn)).any(axis=2)
    changed[y1:y2, x1:x2] = False
    assert not changed.any()


def test_the_longer_side_is_limited_and_no_image_is_enlarged():
    assert shrunk(Image.new("RGB", (1000, 500)), 640).size == (640, 320)
    assert shrunk(Image.new("RGB", (500, 1000)), 640).size == (320, 640)
    assert shrunk(Image.new("RGB", (30, 20)), 640).size == (30, 20)
    assert shrunk(Image.new("RGB", (5000, 1)), 640).size == (640, 1)
