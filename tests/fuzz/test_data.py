import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nave.data.chestxray14 import read_boxes, read_findings
from nave.data.coco_instances import read_instances
from nave.data.interface import GroundTruth, UnreadableImageError
from nave.data.reading import Fit, image_size, open_image, read_list, read_mask
from nave.data.stl10 import STL10
from nave.data.voc import VOC
from nave.data.voc_annotation import read_annotation
from nave.runs.layout import ResultsFolder
from tests.fuzz.harness import lawful, read, thorough
from tests.fuzz.strategies import IMAGES, INSTANCES, LISTS, VOC_XML, damaged, table
from tests.helpers.datasets import CHEST_BOX_HEADER, CHEST_HEADER

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("unchecked"),
]  # Pillow warns of damaged EXIF data and of large images
SIZE = (30, 40)


def assert_inside(truth: GroundTruth, size: tuple[int, int]) -> None:
    height, width = size
    assert truth.boxes.shape == (len(truth.classes), 4)
    assert np.isfinite(truth.boxes).all()
    assert (truth.boxes[:, :2] < truth.boxes[:, 2:]).all()
    assert (truth.boxes >= 0).all()
    assert (truth.boxes <= [width, height, width, height]).all()


@given(VOC_XML)
@thorough
def test_annotations_of_voc(tmp_path: Path, content: bytes) -> None:
    truth = read(tmp_path / "a.xml", content, lambda path: read_annotation(path).truth(Fit(False, SIZE)))
    if truth is not None:
        assert_inside(truth, SIZE)


@given(INSTANCES)
@thorough
def test_instances_of_coco(tmp_path: Path, content: bytes) -> None:
    instances = read(tmp_path / "a.json", content, read_instances)
    for row in [] if instances is None else instances.rows:
        assert_inside(row.truth, row.size)
        assert ".." not in Path(row.file_name).parts
        assert not Path(row.file_name).is_absolute()


@given(table(CHEST_HEADER), table(CHEST_BOX_HEADER))
@thorough
def test_tables_of_chestxray14(tmp_path: Path, entries: bytes, boxes: bytes) -> None:
    read(tmp_path / "entries.csv", entries, read_findings)
    found = read(tmp_path / "boxes.csv", boxes, read_boxes)
    for labelled in (found or {}).values():
        assert all(math.isfinite(side) for box, _, _ in labelled for side in box)


@given(LISTS)
@thorough
def test_lists(tmp_path: Path, content: bytes) -> None:
    entries = read(tmp_path / "a.txt", content, read_list)
    assert entries is None or (all(entries) and len(set(entries)) == len(entries) > 0)


@given(LISTS)
@thorough
def test_lists_of_voc(tmp_path: Path, content: bytes) -> None:
    devkit = tmp_path / "data" / "VOC2007"
    for folder, suffix in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        for name in ("cat", "../x"):
            path = devkit / folder / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    found = read(
        devkit / "ImageSets" / "Main" / "a.txt",
        content,
        lambda _: VOC(devkit, 2007, "a", image_sets="Main", download=False),
    )
    for index in range(len(found or ())):
        ResultsFolder(tmp_path).map(found.image_id(index))


@given(damaged(st.integers(0, 2).map(lambda count: bytes(27_648 * count))), st.binary(max_size=3))
@thorough
def test_binaries_of_stl10(tmp_path: Path, pixels: bytes, classes: bytes) -> None:
    folder = tmp_path / "stl10_binary"
    folder.mkdir(exist_ok=True)
    (folder / "train_y.bin").write_bytes(classes)
    (folder / "train_X.bin").write_bytes(pixels)
    found = lawful(folder / "train_", lambda: STL10(tmp_path, "train", download=False))
    if found is not None:
        assert [found.image(index).size for index in range(len(found))] == [(96, 96)] * len(classes)


@given(IMAGES, st.booleans())
@thorough
def test_images(tmp_path: Path, content: bytes, upright: bool) -> None:
    path = tmp_path / "a.img"
    image = read(path, content, lambda path: open_image(path, upright=upright))
    size = lawful(path, lambda: image_size(path, upright=upright))
    if image is not None:
        assert image.mode == "RGB"
        assert size == (image.height, image.width)


@given(IMAGES)
@thorough
def test_masks(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(content)
    try:
        size = image_size(path, upright=False)
    except UnreadableImageError:
        size = (1, 1)
    mask = lawful(path, lambda: read_mask(path, size))
    assert mask is None or (mask.shape == size and mask.dtype == np.int64)
