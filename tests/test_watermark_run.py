"""nave.run with watermark=…: the images are stamped, and the results say where."""

import numpy as np
from PIL import Image

from nave.comparison.measure import figures
from nave.data.shapes import Shapes
from nave.runs.reader import Run
from tests.helpers.running import into, nave_run, record

SHAPES_OPTIONS = {"split": "test", "images": 10, "size": 64, "seed": 0}
SHAPES = ("data=shapes", "data.images=10", "data.size=64", "image_size=null", "overlays=0")


def test_stamped_images_say_so_and_keep_their_centroids(tmp_path):
    stamped = tmp_path / "stamped"
    marks = ("watermark=square", "watermark_size=0.5", "photographs=64", "overlays=200")
    assert nave_run(*SHAPES, *marks, into(stamped)) == 0
    assert record(stamped)["config"]["watermark"] == "square"
    (run,) = Run.read(stamped).at_k
    lines = list(run.lines.values())
    assert [line["truth"]["classes"] == ["square"] for line in lines] == ["watermark" in line for line in lines]
    marked = next(line for line in lines if "watermark" in line)
    x1, y1, x2, y2 = marked["watermark"]
    assert (x2 - x1, min(x1, y1) >= 0, y2 <= 64) == (32, True, True)
    assert len(run.results.read_centroids(marked["image_id"])) == marked["clusters"]
    index = lines.index(marked)
    with Image.open(run.run.folder.photograph(marked["image_id"])) as copy:
        plain = Shapes(**SHAPES_OPTIONS).image(index)
        change = abs(np.asarray(copy.convert("RGB"), int) - np.asarray(plain, int))
    assert change[y1:y2, x1:x2].mean() > 2 * change[:, x2 + 8 :].mean()
    by_quantity = figures(run, {marked["image_id"]: marked["watermark"]})
    assert {quantity for quantity, _ in by_quantity} >= {"saturation", "watermark_inertia", "mask_overlap"}
    assert 0 <= by_quantity["watermark_inertia", ""][marked["image_id"]] <= 1


def test_an_unknown_class_is_refused(tmp_path, caplog):
    assert nave_run(*SHAPES, "watermark=horse", into(tmp_path / "run")) == 1
    assert "watermark=horse: data=shapes has no such class; it has: circle, cross" in record(tmp_path / "run")["error"]
