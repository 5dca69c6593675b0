"""Golden: pycocotools on the same JSON."""

import contextlib
import hashlib
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from nave.data import coco as module
from nave.data.coco import Coco
from nave.data.interface import MalformedDataError, MissingDatasetError, UnreadableImageError, passed_over
from tests.helpers.datasets import coco_tables, configured, image_module, write_coco, write_photograph, write_text

IMAGES = {"000000000010.jpg": (30, 40), "sub/000000000011.jpg": (20, 20), "empty.jpg": (10, 10)}
BOXES = [
    (10, "dog", (5.5, 3.25, 10.0, 12.5), 0),
    (11, "person", (0.0, 0.0, 20.0, 20.0), 0),
    (10, "person", (1.0, 1.0, 30.0, 20.0), 1),
    (10, "person", (2.0, 2.0, 8.0, 8.0), 0),
]


def tables() -> dict[str, Any]:
    return coco_tables(IMAGES, BOXES)


def coco(root: Path | None = None, **changes: Any) -> Coco:
    dataset: Coco = configured("coco", root=root, **changes)
    return dataset


def coco20k(root: Path | None, **changes: Any) -> Coco:
    dataset: Coco = configured("coco20k", root=root, **changes)
    return dataset


def test_boxes_classes_and_ids(tmp_path: Path) -> None:
    dataset = coco(write_coco(tmp_path, tables()))
    assert [dataset.image_id(index) for index in range(len(dataset))] == [
        "000000000010",
        "sub/000000000011",
        "empty",
    ]
    assert dataset.truth(0).boxes.tolist() == [[5.5, 3.25, 15.5, 15.75], [2, 2, 10, 10]]
    assert dataset.truth(0).classes == ("dog", "person")
    assert dataset.truth(0).hard == (False, False)
    assert dataset.truth(2).boxes.shape == (0, 4)
    assert [dataset.labels(index) for index in range(3)] == [("dog", "person"), ("person",), ()]
    assert [dataset.size(index) for index in range(3)] == list(IMAGES.values())
    assert dataset.image(1).size == (20, 20)


def check_against_pycocotools(file: Path, images: Path) -> None:
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO(str(file))
    dataset = coco(annotations=file, images=images)
    by_name = {Path(image["file_name"]).with_suffix("").as_posix(): image for image in reference.dataset["images"]}
    assert {dataset.image_id(index) for index in range(len(dataset))} == by_name.keys()
    for index in range(len(dataset)):
        image = by_name[dataset.image_id(index)]
        expected = reference.loadAnns(reference.getAnnIds(imgIds=image["id"], iscrowd=False))
        truth = dataset.truth(index)
        for box, name, annotation in zip(truth.boxes, truth.classes, expected, strict=True):
            x, y, width, height = annotation["bbox"]
            assert np.allclose(box, [x, y, x + width, y + height], atol=0.02)  # the tools round
            assert name == reference.loadCats(annotation["category_id"])[0]["name"]
        assert dataset.size(index) == (image["height"], image["width"])


def test_as_pycocotools_reads_it(tmp_path: Path) -> None:
    root = write_coco(tmp_path, tables())
    check_against_pycocotools(root / "coco/annotations/instances_train2017.json", root / "coco/train2017")


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.parametrize("split", ["train2014", "train2017"])
def test_real_boxes_as_pycocotools_reads_them(split: str) -> None:
    root = Path(os.environ["NAVE_DATA"]) / "coco"
    check_against_pycocotools(root / "annotations" / f"instances_{split}.json", root / split)


@pytest.mark.parametrize("inside", ["", "coco"])
def test_root_or_coco_itself(tmp_path: Path, inside: str) -> None:
    assert len(coco(write_coco(tmp_path, tables()) / inside)) == 3


def test_a_list_selects_its_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_coco(tmp_path, tables())
    names = write_text(tmp_path / "list.txt", "train2014/000000000011.jpg\nempty.jpg\nelsewhere.jpg\n")
    (tmp_path / "coco" / "train2017" / "000000000010.jpg").unlink()  # not in the list
    dataset = coco(tmp_path, file_list=names)
    assert [dataset.image_id(index) for index in range(len(dataset))] == ["sub/000000000011", "empty"]
    assert "coco is a sample: 2 of its 3 images are annotated" in caplog.text


def test_skipped_boxes_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    boxes = [*BOXES, (10, "dog", (5.0, 5.0, 0.0, 9.0), 0), (10, "dog", (50.0, 5.0, 9.0, 9.0), 0)]
    boxes += [(10, "dog", (9.0, 9.0, -4.0, 3.0), 0), (99, "dog", (0.0, 0.0, 1.0, 1.0), 0)]
    dataset = coco(write_coco(tmp_path, coco_tables(IMAGES, boxes)))
    assert len(dataset.truth(0).boxes) == 2
    for part in (
        "'crowd regions': 1",
        "'boxes without area in their image': 3",
        "'boxes of images that are not listed': 1",
    ):
        assert part in caplog.text


def test_boxes_are_clipped_at_the_border(tmp_path: Path) -> None:
    dataset = coco(write_coco(tmp_path, coco_tables(IMAGES, [(10, "dog", (-2.0, 20.0, 50.0, 50.0), 0)])))
    assert dataset.truth(0).boxes.tolist() == [[0, 20, 40, 30]]


def test_masks_of_coco_stuff(tmp_path: Path) -> None:
    root = write_coco(tmp_path, coco_tables({"a.jpg": (6, 8), "sub/b.jpg": (6, 8)}, []))
    stored = np.full((6, 8), 255, np.uint8)
    stored[0, 0], stored[0, 1] = 0, 181
    (tmp_path / "masks" / "sub").mkdir(parents=True)
    Image.fromarray(stored).save(tmp_path / "masks" / "sub" / "b.png")
    dataset = coco(root, masks=tmp_path / "masks")
    assert dataset.mask(0) is None
    mask = dataset.mask(1)
    assert mask is not None
    assert (mask[0, 0], mask[0, 1], mask[1, 1]) == (1, 182, 255)
    assert dataset.mask_classes() == {1: "person"}
    assert coco(root).mask(1) is None
    with pytest.raises(MissingDatasetError, match="nomasks"):
        coco(root, masks=tmp_path / "nomasks")


def test_missing_data_set(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDatasetError, match=r"looked in (.|\n)*coco/annotations/instances_val2017\.json\n.*val2017"
    ):
        coco(tmp_path, split="val2017")
    with pytest.raises(MissingDatasetError, match=r"neither data\.root nor"):
        coco()
    with pytest.raises(MissingDatasetError, match=r"list\.txt"):
        coco(write_coco(tmp_path, tables()), file_list=tmp_path / "list.txt")


def test_listed_images_without_file(tmp_path: Path) -> None:
    (write_coco(tmp_path, tables()) / "coco/train2017/sub/000000000011.jpg").unlink()
    with pytest.raises(MalformedDataError, match=r"train2017\.json: 1 of 3 files are not in .*: sub/000000000011\.jpg"):
        coco(tmp_path)


def broken(part: str, number: int, **changes: Any) -> dict[str, Any]:
    content = tables()
    content[part][number].update(changes)
    return content


def lacking(part: str, key: str) -> dict[str, Any]:
    content = tables()
    del content[part][1][key]
    return content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (broken("images", 1, id=10), r"images\[1\] repeats id 10"),
        (broken("categories", 1, id=1), r"categories\[1\] repeats id 1"),
        (broken("annotations", 2, category_id=7, iscrowd=0), r"annotations\[2\]: category 7 is not among"),
        (broken("annotations", 1, bbox=[1, 2, 3]), r"annotations\[1\]: bbox \[1, 2, 3\] is not \[x, y"),
        (broken("annotations", 1, bbox=None), r"annotations\[1\]: bbox None is not \[x, y"),
        (broken("annotations", 1, bbox=[1, 2, 3, float("nan")]), r"annotations\[1\]: bbox .* is not finite"),
        (broken("images", 1, height=0), r"image 11: height 0 and width 20 are no numbers of pixels"),
        (broken("images", 1, file_name="../../etc/x.jpg"), r"image 11: file_name '\.\./.*' leads out of"),
        (broken("images", 1, file_name="/etc/x.jpg"), r"image 11: file_name '/etc/x\.jpg' leads out of"),
        (lacking("images", "width"), r"images\[1\] lacks one of id, file_name, height, width"),
        (lacking("annotations", "bbox"), r"annotations\[1\] lacks one of image_id, category_id, bbox"),
        ({"images": [], "categories": []}, r"no list 'annotations'; an instances JSON has images"),
        ([1, 2], r"a list, not the object that an instances JSON is"),
    ],
)
def test_malformed_tables(tmp_path: Path, content: Any, message: str) -> None:
    write_coco(tmp_path, tables())
    write_text(tmp_path / "coco/annotations/instances_train2017.json", json.dumps(content))
    with pytest.raises(MalformedDataError, match=r"instances_train2017\.json: " + message):
        coco(tmp_path)


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    write_coco(tmp_path, tables())
    write_text(tmp_path / "coco/annotations/instances_train2017.json", '{"images": [\n{"id": 1,]}')
    with pytest.raises(MalformedDataError, match=r"line 2, column 10: no JSON"):
        coco(tmp_path)


def test_one_file_name_for_two_images(tmp_path: Path) -> None:
    with pytest.raises(MalformedDataError, match=r"'empty\.jpg' is the file of two images, 10 and 12"):
        coco(write_coco(tmp_path, broken("images", 0, file_name="empty.jpg", height=10, width=10)))


def turn(path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with Image.open(path) as image:
        image.load()
        image.save(path, exif=exif)


def test_orientation_follows_the_size_in_the_json(tmp_path: Path) -> None:
    turn(write_coco(tmp_path, tables()) / "coco/train2017/000000000010.jpg", 6)
    assert coco(tmp_path).image(0).size == (40, 30)  # annotated as stored
    write_text(
        tmp_path / "coco/annotations/instances_train2017.json",
        json.dumps(broken("images", 0, height=40, width=30)),
    )
    assert coco(tmp_path).image(0).size == (30, 40)  # annotated upright


def test_an_image_of_another_size_is_unreadable(tmp_path: Path) -> None:
    write_coco(tmp_path, tables())
    write_photograph(tmp_path / "coco/train2017/empty.jpg", (12, 10))
    with pytest.raises(
        UnreadableImageError, match=r"empty: \(12, 10\) pixels .* \(10, 10\) in instances_train2017\.json"
    ):
        coco(tmp_path).image(2)


def test_a_list_other_than_the_official_one(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_tables({"a.jpg": (5, 5)}, []), "train2014")
    write_text(tmp_path / "coco" / "coco_20k_filenames.txt", "train2014/a.jpg\n")
    with pytest.raises(MalformedDataError, match=r"coco_20k_filenames\.txt: sha256 is .* official list 74637e9b"):
        coco20k(tmp_path)


def test_missing_coco20k(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDatasetError, match=r"coco20k not found(.|\n)*coco_20k_filenames\.txt(.|\n)*data\.download=true"
    ):
        coco20k(tmp_path)
    with pytest.raises(MissingDatasetError, match=r"neither data\.root nor"):
        coco20k(None, download=True).prepare()


def test_the_list_selects_images_of_train2014(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = write_text(tmp_path / "mine.txt", "train2014/b.jpg\n")
    boxes = [(11, "dog", (1, 1, 2, 2), 0)]
    write_coco(tmp_path, coco_tables({"a.jpg": (5, 5), "b.jpg": (6, 7)}, boxes), "train2014")
    monkeypatch.setattr(module, "_LIST_SHA256", hashlib.sha256(names.read_bytes()).hexdigest())
    dataset = coco20k(tmp_path, file_list=names)
    assert (dataset.name, len(dataset), dataset.image_id(0), dataset.labels(0)) == ("coco20k", 1, "b", ("dog",))


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_real_list_and_sample(caplog: pytest.LogCaptureFixture) -> None:
    dataset = coco20k(Path(os.environ["NAVE_DATA"]))
    assert "of its 19817 images" in caplog.text or len(dataset) == 19817
    assert all(dataset.image_id(index).startswith("COCO_train2014_") for index in range(len(dataset)))


@pytest.mark.slow
def test_full_size_each_image_once(tmp_path: Path) -> None:
    images = {f"COCO_train2014_{number:012d}.jpg": (8 + number % 3, 8) for number in range(19_817)}
    boxes = [(10 + number // 7 % 19_817, "dog", (1, 1, 3, 3), 0) for number in range(140_000)]
    dataset = coco(write_coco(tmp_path, coco_tables(images, boxes), "train2014"), split="train2014")
    batches = image_module(dataset, batch_size=64).predict_dataloader()
    indices = [index for batch in batches for index in batch.indices]
    assert sorted(indices) == list(range(19_817))
    assert sum(len(dataset.truth(index).boxes) for index in indices) == 140_000


def retyped(content: dict[str, Any], part: str, key: str, kind: type) -> dict[str, Any]:
    for entry in content[part]:
        entry[key] = kind(entry[key])
    return content


@pytest.mark.parametrize(
    ("part", "key"), [("annotations", "image_id"), ("images", "id"), ("annotations", "category_id")]
)
def test_ids_of_another_type_are_matched_by_value(tmp_path: Path, part: str, key: str) -> None:
    dataset = coco(write_coco(tmp_path, retyped(tables(), part, key, str)))
    assert [dataset.labels(index) for index in range(3)] == [("dog", "person"), ("person",), ()]
    assert dataset.truth(0).boxes.tolist() == [[5.5, 3.25, 15.5, 15.75], [2, 2, 10, 10]]


def test_annotations_of_which_nothing_is_left_are_refused(tmp_path: Path) -> None:
    content = tables()
    for entry in content["annotations"]:
        entry["image_id"] = f"{entry['image_id']}.jpg"
    message = (
        r"train2017\.json: none of its annotations is left.*'boxes of images that are not listed': 4.*'10\.jpg'.* 10"
    )
    with pytest.raises(MalformedDataError, match=message):
        coco(write_coco(tmp_path, content))


@pytest.mark.parametrize("wrong", [[10], {"a": 1}, None])
def test_ids_that_are_neither_numbers_nor_text(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(MalformedDataError, match=r"images\[1\] has the id "):
        coco(write_coco(tmp_path, broken("images", 1, id=wrong)))
    content = tables()
    content["annotations"][0]["image_id"] = wrong
    assert coco(write_coco(tmp_path, content)).passed_over["boxes of images that are not listed"] == 1


def test_what_is_left_out_is_counted_by_reason(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_tables(IMAGES, [*BOXES, (99, "dog", (0.0, 0.0, 1.0, 1.0), 0)]))
    names = write_text(tmp_path / "list.txt", "000000000010.jpg\nelsewhere.jpg\n")
    assert passed_over(coco(tmp_path, file_list=names)) == {
        "crowd regions": 1,
        "boxes of images that are not listed": 1,
        "listed images without annotations": 1,
    }


def test_boxes_of_a_rescaled_image_are_scaled(tmp_path: Path) -> None:
    write_coco(tmp_path, tables())
    write_photograph(tmp_path / "coco/train2017/000000000010.jpg", (60, 80))
    dataset = coco(tmp_path)
    assert (dataset.size(0), dataset.image(0).size) == ((60, 80), (80, 60))
    assert dataset.truth(0).boxes.tolist() == [[11, 6.5, 31, 31.5], [4, 4, 20, 20]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        (json.dumps(broken("annotations", 0, bbox=[1, 2, 10**400, 4])), r"annotations\[0\]: bbox .* is not \[x, y"),
        (json.dumps(broken("annotations", 0, bbox=[1, 2, 3, 4])).replace("[1, 2, 3, 4]", "[1, 2, 1e999, 4]"), "finite"),
        (json.dumps(broken("images", 0, height=10**400)), "are no numbers of pixels"),
        (json.dumps(broken("images", 0, file_name="a\0.jpg")), "leads out of its folder"),
    ],
)
def test_what_json_can_hold_and_no_image_can(tmp_path: Path, text: str, message: str) -> None:
    write_coco(tmp_path, tables())
    write_text(tmp_path / "coco/annotations/instances_train2017.json", text)
    with pytest.raises(MalformedDataError, match=rf"instances_train2017\.json(.|\n)*{message}"):
        coco(tmp_path)


def test_a_folder_of_masks_that_matches_no_image_is_refused(tmp_path: Path) -> None:
    root = write_coco(tmp_path, coco_tables({"a.jpg": (6, 8), "b.jpg": (6, 8)}, []))
    (tmp_path / "masks").mkdir()
    with pytest.raises(MalformedDataError, match=r"masks: none of the 2 masks is there, such as a\.png"):
        coco(root, masks=tmp_path / "masks")
    Image.new("L", (8, 6)).save(tmp_path / "masks" / "b.png")
    assert passed_over(coco(root, masks=tmp_path / "masks")) == {"images without a mask": 1}
