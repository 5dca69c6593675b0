"""Golden: torchvision's VOCDetection and VOCSegmentation on the same files."""

import os
from pathlib import Path

import numpy as np
import pytest

from nave.data.errors import MalformedData, MissingDataset
from nave.data.photograph import UnreadableImage
from nave.data.voc import CLASSES, VOC
from tests.data.writers import Thing, voc_xml, write_mask, write_text, write_voc

THINGS = {
    "000005": [Thing("cat", (5, 3, 20, 18)), Thing("dog", (1, 1, 40, 30), difficult=1)],
    "000007": [],
    "000009": [Thing("person", (2.5, 4.25, 9.75, 12), truncated=1), Thing("cat", (7, 7, 7, 7))],
}
XML = Path("VOCdevkit/VOC2007/Annotations/000005.xml")


def test_boxes_from_zero_and_half_open(tmp_path: Path) -> None:
    voc = VOC(write_voc(tmp_path, things=THINGS), 2007)
    assert [voc.image_id(index) for index in range(len(voc))] == list(THINGS)
    truth = voc.truth(0)
    assert truth.boxes.tolist() == [[4, 2, 20, 18], [0, 0, 40, 30]]
    assert (truth.classes, truth.hard) == (("cat", "dog"), (False, True))
    assert voc.truth(1).boxes.shape == (0, 4)
    assert voc.truth(2).boxes.tolist() == [[1.5, 3.25, 9.75, 12], [6, 6, 7, 7]]
    assert voc.truth(2).hard == (True, False)
    assert [voc.labels(index) for index in range(3)] == [("cat", "dog"), (), ("cat", "person")]
    assert (voc.name, voc.size(0), voc.image(0).size) == ("voc07", (30, 40), (40, 30))


def check_against_torchvision(root: Path, year: int, split: str) -> None:
    from torchvision.datasets import VOCDetection

    voc = VOC(root, year, split)
    reference = VOCDetection(str(root), year=str(year), image_set=split)
    assert len(voc) == len(reference)
    for index in range(len(voc)):
        image, target = reference[index]
        objects = target["annotation"].get("object", [])
        truth = voc.truth(index)
        for box, name, item in zip(truth.boxes, truth.classes, objects, strict=True):
            expected = [float(item["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            assert (box + np.array([1, 1, 0, 0])).tolist() == expected
            assert name == item["name"]
        flags = [item.get(flag, "0") for item in objects for flag in ("difficult", "truncated")]
        assert truth.hard == tuple("1" in pair for pair in zip(flags[::2], flags[1::2], strict=True))
        assert np.array_equal(np.asarray(voc.image(index)), np.asarray(image))


def test_as_torchvision_parses_it(tmp_path: Path) -> None:
    check_against_torchvision(write_voc(tmp_path, 2012, THINGS, split="val"), 2012, "val")


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.parametrize("year", [2007, 2012])
def test_real_images_as_torchvision_parses_them(year: int) -> None:
    check_against_torchvision(Path(os.environ["NAVE_DATA"]), year, "trainval")


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_real_masks_fit_their_images_and_boxes() -> None:
    voc = VOC(os.environ["NAVE_DATA"], 2012, image_sets="Segmentation")
    for index in range(len(voc)):
        mask = voc.mask(index)
        assert mask is not None
        assert mask.shape == voc.size(index)
        shown = {CLASSES[label - 1] for label in np.unique(mask) if 0 < label < 255}
        assert shown <= set(voc.labels(index))


def test_masks(tmp_path: Path) -> None:
    from PIL import Image

    root = write_voc(tmp_path, things=THINGS)
    voc = VOC(root, 2007)
    mask = voc.mask(0)
    assert mask is not None
    assert (mask.shape, mask.dtype, np.unique(mask).tolist()) == ((30, 40), np.int64, [0, 8, 255])
    assert voc.mask_classes()[8] == "cat"
    assert list(voc.mask_classes()) == list(range(1, 21))
    assert voc.mask(1) is None
    write_mask(tmp_path / "again.png", (30, 40))
    assert np.array_equal(mask, np.asarray(Image.open(tmp_path / "again.png")))


@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_any_of_three_roots(tmp_path: Path, inside: str) -> None:
    assert len(VOC(write_voc(tmp_path) / inside, 2007)) == 1


def test_missing_data_set_says_where_what_and_how(tmp_path: Path) -> None:
    with pytest.raises(MissingDataset) as caught:
        VOC(tmp_path / "gone", 2007)
    message = str(caught.value)
    for part in (
        f"looked in {tmp_path}/gone (which does not exist)",
        f"{tmp_path}/gone/VOCdevkit/VOC2007/Annotations/*.xml",
        "data.download=true",
        "VOCtrainval_06-Nov-2007.tar",
    ):
        assert part in message


def test_no_root_and_the_wrong_year(tmp_path: Path) -> None:
    with pytest.raises(MissingDataset, match=r"neither data\.root nor the environment variable NAVE_DATA is set"):
        VOC(None, 2012)
    with pytest.raises(MissingDataset, match=r"VOC2007 not found"):
        VOC(write_voc(tmp_path, 2012) / "VOCdevkit" / "VOC2012", 2007)
    with pytest.raises(ValueError, match="year=2009: choose from 2007, 2012"):
        VOC(tmp_path, 2009)


def test_another_split_lists_those_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataset, match=r"split=test: no .*Main/test\.txt; splits there: trainval"):
        VOC(write_voc(tmp_path), 2007, "test")


@pytest.mark.parametrize("kind", ["JPEGImages/000007.jpg", "Annotations/000007.xml"])
def test_listed_images_without_file(tmp_path: Path, kind: str) -> None:
    (write_voc(tmp_path, things=THINGS) / "VOCdevkit" / "VOC2007" / kind).unlink()
    with pytest.raises(MalformedData, match=rf"trainval\.txt: 1 of 3 files are not in .*: {Path(kind).name}"):
        VOC(tmp_path, 2007)


def test_an_image_listed_twice(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    write_text(root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "trainval.txt", "000005\n000005\n")
    with pytest.raises(MalformedData, match=r"trainval\.txt, line 2: '000005' is already on line 1"):
        VOC(root, 2007)


def test_xml_without_size_is_read_as_torchvision_does(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    xml = (root / XML).read_text()
    write_text(root / XML, xml.replace(xml[xml.index("<size>") : xml.index("</size>") + 7], ""))
    assert VOC(root, 2007).truth(0).boxes.tolist() == [[4, 2, 20, 18]]
    check_against_torchvision(root, 2007, "trainval")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((20, 3, 5, 18), r"object 2: box .* is reversed or has no area"),
        ((5, 18, 20, 3), r"object 2: box .* is reversed or has no area"),
        (("nan", 3, 20, 18), r"object 2: box .* is reversed or has no area"),
        ((5, 3, 45, 18), r"object 2: box .* leaves its image, 40 x 30 \(w x h\)"),
        ((-3, 3, 20, 18), r"object 2: box .* leaves its image"),
        ((50, 50, 60, 60), r"object 2: box .* leaves its image"),
        (("a", 3, 20, 18), r"object 2: <xmin> is 'a', no number"),
    ],
)
def test_impossible_boxes(tmp_path: Path, box: tuple[float, float, float, float], message: str) -> None:
    root = write_voc(tmp_path)
    write_text(root / XML, voc_xml("000005", (30, 40), [Thing("cat", (5, 3, 20, 18)), Thing("dog", box)]))
    with pytest.raises(MalformedData, match=r"000005\.xml: " + message):
        VOC(root, 2007).truth(0)


def test_a_box_that_starts_at_zero_is_clipped(tmp_path: Path) -> None:
    voc = VOC(write_voc(tmp_path, things={"a": [Thing("cat", (0, 0, 41, 31))]}), 2007)
    assert voc.truth(0).boxes.tolist() == [[0, 0, 40, 30]]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</annotation>", "", "broken XML: no element found"),
        ("<xmin>5</xmin>", "", "object 1: <xmin> is missing"),
        ("<name>cat</name>", "", "object 1: <name> is missing"),
        ("bndbox", "bbox", "object 1: <bndbox> is missing"),
        ("<annotation>", '<?xml version="1.0" encoding="martian"?><annotation>', "broken XML"),
    ],
)
def test_broken_annotations(tmp_path: Path, old: str, new: str, message: str) -> None:
    root = write_voc(tmp_path)
    write_text(root / XML, (root / XML).read_text().replace(old, new))
    with pytest.raises(MalformedData, match=rf"000005\.xml: {message}"):
        VOC(root, 2007).truth(0)


def test_parts_of_a_person_are_no_objects(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    write_text(root / XML, (root / XML).read_text().replace("</object>", part))
    assert VOC(root, 2007).truth(0).classes == ("cat",)


def test_orientation_is_ignored_since_boxes_were_drawn_without_it(tmp_path: Path) -> None:
    from PIL import ExifTags, Image

    root = write_voc(tmp_path)
    path = root / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000005.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)
    voc = VOC(root, 2007)
    assert (voc.size(0), voc.image(0).size) == ((30, 40), (40, 30))


def test_an_unreadable_image_has_no_truth_either(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    write_text(root / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000005.jpg", "no image")
    with pytest.raises(UnreadableImage, match="000005: not an image"):
        VOC(root, 2007).truth(0)
