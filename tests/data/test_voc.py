"""Golden: torchvision's VOCDetection and VOCSegmentation on the same files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from nave.data.interface import MalformedDataError, MissingDatasetError, UnreadableImageError
from nave.data.voc import CLASSES, VOC
from tests.helpers.datasets import Thing, configured, voc_xml, write_mask, write_photograph, write_text, write_voc

THINGS = {
    "000005": [Thing("cat", (5, 3, 20, 18)), Thing("dog", (1, 1, 40, 30), difficult=1)],
    "000007": [],
    "000009": [Thing("person", (2.5, 4.25, 9.75, 12), truncated=1), Thing("cat", (7, 7, 7, 7))],
}
XML = Path("VOCdevkit/VOC2007/Annotations/000005.xml")


def voc(root: Path | None, year: int = 2007, **changes: Any) -> VOC:
    dataset: VOC = configured("voc07", root=root, year=year, **changes)
    return dataset


def test_boxes_from_zero_and_half_open(tmp_path: Path) -> None:
    dataset = voc(write_voc(tmp_path, things=THINGS))
    assert [dataset.image_id(index) for index in range(len(dataset))] == list(THINGS)
    truth = dataset.truth(0)
    assert truth.boxes.tolist() == [[4, 2, 20, 18], [0, 0, 40, 30]]
    assert (truth.classes, truth.hard) == (("cat", "dog"), (False, True))
    assert dataset.truth(1).boxes.shape == (0, 4)
    assert dataset.truth(2).boxes.tolist() == [[1.5, 3.25, 9.75, 12], [6, 6, 7, 7]]
    assert dataset.truth(2).hard == (True, False)
    assert [dataset.labels(index) for index in range(3)] == [("cat", "dog"), (), ("cat", "person")]
    assert (dataset.name, dataset.size(0), dataset.image(0).size) == ("voc07", (30, 40), (40, 30))


def check_against_torchvision(root: Path, year: int, split: str) -> None:
    from torchvision.datasets import VOCDetection

    dataset = voc(root, year, split=split)
    reference = VOCDetection(str(root), year=str(year), image_set=split)
    assert len(dataset) == len(reference)
    for index in range(len(dataset)):
        image, target = reference[index]
        objects = target["annotation"].get("object", [])
        truth = dataset.truth(index)
        for box, name, item in zip(truth.boxes, truth.classes, objects, strict=True):
            expected = [float(item["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            assert (box + np.array([1, 1, 0, 0])).tolist() == expected
            assert name == item["name"]
        flags = [item.get(flag, "0") for item in objects for flag in ("difficult", "truncated")]
        assert truth.hard == tuple("1" in pair for pair in zip(flags[::2], flags[1::2], strict=True))
        assert np.array_equal(np.asarray(dataset.image(index)), np.asarray(image))


def test_as_torchvision_parses_it(tmp_path: Path) -> None:
    check_against_torchvision(write_voc(tmp_path, 2012, THINGS, split="val"), 2012, "val")


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.parametrize("year", [2007, 2012])
def test_real_images_as_torchvision_parses_them(year: int) -> None:
    check_against_torchvision(Path(os.environ["NAVE_DATA"]), year, "trainval")


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_real_masks_fit_their_images_and_boxes() -> None:
    dataset = voc(os.environ["NAVE_DATA"], 2012, image_sets="Segmentation")
    for index in range(len(dataset)):
        mask = dataset.mask(index)
        assert mask is not None
        assert mask.shape == dataset.size(index)
        shown = {CLASSES[label - 1] for label in np.unique(mask) if 0 < label < 255}
        assert shown <= set(dataset.labels(index))


def test_masks(tmp_path: Path) -> None:
    from PIL import Image

    root = write_voc(tmp_path, things=THINGS)
    dataset = voc(root)
    mask = dataset.mask(0)
    assert mask is not None
    assert (mask.shape, mask.dtype, np.unique(mask).tolist()) == ((30, 40), np.int64, [0, 8, 255])
    assert dataset.mask_classes()[8] == "cat"
    assert list(dataset.mask_classes()) == list(range(1, 21))
    assert dataset.mask(1) is None
    write_mask(tmp_path / "again.png", (30, 40))
    assert np.array_equal(mask, np.asarray(Image.open(tmp_path / "again.png")))


@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2007"])
def test_three_possible_roots(tmp_path: Path, inside: str) -> None:
    assert len(voc(write_voc(tmp_path) / inside)) == 1


def test_a_missing_data_set_names_folder_layout_and_cure(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError) as caught:
        voc(tmp_path / "gone")
    message = str(caught.value)
    for part in (
        f"looked in {tmp_path}/gone (which does not exist)",
        f"{tmp_path}/gone/VOCdevkit/VOC2007/Annotations/*.xml",
        "data.download=true",
        "VOCtrainval_06-Nov-2007.tar",
    ):
        assert part in message


def test_no_root_and_the_wrong_year(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError, match=r"neither data\.root nor the environment variable NAVE_DATA is set"):
        voc(None, 2012)
    with pytest.raises(MissingDatasetError, match=r"VOC2007 not found"):
        voc(write_voc(tmp_path, 2012) / "VOCdevkit" / "VOC2012")
    with pytest.raises(ValueError, match="year=2009: choose from 2007, 2012"):
        voc(tmp_path, 2009)


def test_an_unknown_split_lists_the_existing_ones(tmp_path: Path) -> None:
    with pytest.raises(MissingDatasetError, match=r"split=test: no .*Main/test\.txt; splits there: trainval"):
        voc(write_voc(tmp_path), split="test")


@pytest.mark.parametrize("kind", ["JPEGImages/000007.jpg", "Annotations/000007.xml"])
def test_listed_images_without_file(tmp_path: Path, kind: str) -> None:
    (write_voc(tmp_path, things=THINGS) / "VOCdevkit" / "VOC2007" / kind).unlink()
    with pytest.raises(MalformedDataError, match=rf"trainval\.txt: 1 of 3 files are not in .*: {Path(kind).name}"):
        voc(tmp_path)


def test_an_image_listed_twice(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    write_text(root / "VOCdevkit" / "VOC2007" / "ImageSets" / "Main" / "trainval.txt", "000005\n000005\n")
    with pytest.raises(MalformedDataError, match=r"trainval\.txt, line 2: '000005' is already on line 1"):
        voc(root)


def test_xml_without_size_is_read_as_torchvision_does(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    xml = (root / XML).read_text()
    write_text(root / XML, xml.replace(xml[xml.index("<size>") : xml.index("</size>") + 7], ""))
    assert voc(root).truth(0).boxes.tolist() == [[4, 2, 20, 18]]
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
    with pytest.raises(MalformedDataError, match=r"000005\.xml: " + message):
        voc(root).truth(0)


def test_a_box_that_starts_at_zero_is_clipped(tmp_path: Path) -> None:
    dataset = voc(write_voc(tmp_path, things={"a": [Thing("cat", (0, 0, 41, 31))]}))
    assert dataset.truth(0).boxes.tolist() == [[0, 0, 40, 30]]


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
    with pytest.raises(MalformedDataError, match=rf"000005\.xml: {message}"):
        voc(root).truth(0)


def test_body_parts_are_not_objects(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part></object>"
    write_text(root / XML, (root / XML).read_text().replace("</object>", part))
    assert voc(root).truth(0).classes == ("cat",)


def test_orientation_is_ignored_like_in_the_annotations(tmp_path: Path) -> None:
    from PIL import ExifTags, Image

    root = write_voc(tmp_path)
    path = root / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000005.jpg"
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)
    dataset = voc(root)
    assert (dataset.size(0), dataset.image(0).size) == ((30, 40), (40, 30))


def test_the_truth_needs_a_readable_image(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    write_text(root / "VOCdevkit" / "VOC2007" / "JPEGImages" / "000005.jpg", "no image")
    with pytest.raises(UnreadableImageError, match="000005: not an image"):
        voc(root).truth(0)


def turned(path: Path, orientation: int = 6) -> None:
    """Marks an image as one that was taken with the camera turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif, quality=100, subsampling=0)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_an_image_annotated_upright_is_turned(tmp_path: Path, orientation: int) -> None:
    """A square drawn in the upright picture lies on the object again."""
    root = write_voc(tmp_path, things={"a": [Thing("square", (5, 21, 12, 34))]}, size=(40, 30))
    picture = Image.new("RGB", (30, 40), "black")
    picture.paste("white", (4, 20, 12, 34))
    stored = {5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # the inverse of the turn, as Pillow counts them
    path = root / "VOCdevkit/VOC2007/JPEGImages/a.jpg"
    picture.transpose(Image.Transpose(stored)).save(path)
    turned(path, orientation)
    dataset = voc(root)
    image, (x1, y1, x2, y2) = np.asarray(dataset.image(0))[..., 0], dataset.truth(0).boxes[0].astype(int)
    assert image.shape == dataset.size(0) == (40, 30)
    assert [x1, y1, x2, y2] == [4, 20, 12, 34]
    assert image[y1:y2, x1:x2].mean() > 240
    assert image.mean() < 40
    mask = dataset.mask(0)
    assert mask is not None
    assert mask.shape == (40, 30)


def test_boxes_of_a_rescaled_image_are_scaled(tmp_path: Path) -> None:
    root = write_voc(tmp_path, things={"a": [Thing("cat", (5, 3, 20, 18))]})
    write_photograph(root / "VOCdevkit/VOC2007/JPEGImages/a.jpg", (60, 80))
    dataset = voc(root)
    assert (dataset.size(0), dataset.image(0).size) == ((60, 80), (80, 60))
    assert dataset.truth(0).boxes.tolist() == [[8, 4, 40, 36]]


def test_another_size_makes_an_image_unreadable(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    write_photograph(root / "VOCdevkit/VOC2007/JPEGImages/000005.jpg", (300, 700))
    for read in (voc(root).image, voc(root).size, voc(root).truth):
        with pytest.raises(UnreadableImageError, match=r"000005: \(300, 700\) pixels .* \(30, 40\) in 000005\.xml"):
            read(0)


@pytest.mark.parametrize(
    "size",
    [
        "",
        "<size><width>0</width><height>0</height></size>",
        "<size><depth>3</depth></size>",
        "<size><width>nan</width><height>40</height></size>",
        "<size><width>40</width><height>inf</height></size>",
    ],
)
def test_without_a_size_the_image_is_as_stored(tmp_path: Path, size: str) -> None:
    root = write_voc(tmp_path)
    text = (root / XML).read_text()
    shape = text[text.index("<size>") : text.index("</size>") + len("</size>")]
    write_text(root / XML, text.replace(shape, size))
    turned(root / "VOCdevkit/VOC2007/JPEGImages/000005.jpg")
    dataset = voc(root)
    assert (dataset.size(0), dataset.truth(0).boxes.tolist()) == ((30, 40), [[4, 2, 20, 18]])


def test_a_size_that_its_own_boxes_leave_is_none(tmp_path: Path) -> None:
    """VOC 2012 has an image whose height and width are exchanged in its annotation."""
    root = write_voc(tmp_path, things={"a": [Thing("cat", (5, 3, 38, 18))]})
    write_text(root / "VOCdevkit/VOC2007/Annotations/a.xml", voc_xml("a", (40, 30), [Thing("cat", (5, 3, 38, 18))]))
    assert voc(root).truth(0).boxes.tolist() == [[4, 2, 38, 18]]


def test_a_list_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    from nave.data.folder import require_files

    for name in ("../x.jpg", "/x.jpg", "a\0.jpg"):
        with pytest.raises(MalformedDataError, match=r"list\.txt: '.*' leads out of its folder"):
            require_files(tmp_path, [name], tmp_path / "list.txt")


def test_an_entry_is_what_its_parts_are(tmp_path: Path) -> None:
    root = write_voc(tmp_path, things={"a": [Thing("dog", (1, 1, 9, 9)), Thing("cat", (2, 2, 8, 8))], "b": []})
    voc = configured("voc07", root=root)
    for index in range(2):
        image, truth, labels = voc.entry(index)
        assert image.tobytes() == voc.image(index).tobytes()
        assert (truth.boxes.tolist(), truth.classes, truth.hard) == (
            voc.truth(index).boxes.tolist(),
            voc.truth(index).classes,
            voc.truth(index).hard,
        )
        assert labels == voc.labels(index)
