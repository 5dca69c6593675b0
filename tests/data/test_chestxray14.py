import csv
import os
from pathlib import Path

import numpy as np
import pytest

from nave.data.chestxray14 import FINDINGS, ChestXray14
from nave.data.interface import MalformedDataError, MissingDatasetError, UnreadableImageError, passed_over
from tests.helpers.datasets import configured, photograph, write_chestxray14, write_photograph, write_text

LISTED = {
    "00000001_000.png": "Edema|Mass",
    "00000001_001.png": "No Finding",
    "00000002_000.png": "Infiltration",
}
BOXES = [  # in pixels of the release, 16 times those of the images here
    "00000001_000.png,Mass,72,52,328,172",
    "00000002_000.png,Infiltrate,0,0,1024,1024,,,",
    "00000001_000.png,Mass,160,160,80,80",
]


def chestxray14(root: Path | None, split: str = "all") -> ChestXray14:
    dataset: ChestXray14 = configured("chestxray14", root=root, split=split)
    return dataset


def test_boxes_findings_and_targets(tmp_path: Path) -> None:
    chest = chestxray14(write_chestxray14(tmp_path, LISTED, BOXES))
    assert [chest.image_id(index) for index in range(len(chest))] == [
        "00000001_000",
        "00000001_001",
        "00000002_000",
    ]
    first, second, third = (chest.truth(index) for index in range(3))
    assert first is not None
    assert first.boxes.tolist() == [[4.5, 3.25, 25, 14], [10, 10, 15, 15]]
    assert first.classes == ("Mass", "Mass")
    assert second is None  # unknown, as opposed to no boxes
    assert third is not None
    assert (third.classes, third.hard) == (("Infiltration",), (False,))
    assert [chest.labels(index) for index in range(3)] == [("Edema", "Mass"), (), ("Infiltration",)]
    assert [FINDINGS[i] for i in np.flatnonzero(chest.targets(0))] == ["Mass", "Edema"]
    assert chest.targets(1).tolist() == [0] * 14


def test_rgba_and_grey_files_look_the_same(tmp_path: Path) -> None:
    chest = chestxray14(write_chestxray14(tmp_path, LISTED, modes=["L", "RGBA", "RGB"]))
    for index in range(3):
        expected = photograph((64, 64), index).convert("L").convert("RGB")
        assert np.array_equal(np.asarray(chest.image(index)), np.asarray(expected))


@pytest.mark.parametrize(
    "header", ["Image Index,Finding Label,Bbox [x,y,w,h],,,", "Image Index,Finding Label,Bbox [x, y, w, h]"]
)
def test_both_spellings_of_the_box_header(tmp_path: Path, header: str) -> None:
    chest = chestxray14(write_chestxray14(tmp_path, LISTED, BOXES, box_header=header))
    truth = chest.truth(0)
    assert truth is not None
    assert truth.boxes[0].tolist() == [4.5, 3.25, 25, 14]


def test_a_quoted_box_header(tmp_path: Path) -> None:
    header = 'Image Index,Finding Label,"Bbox [x,y,w,h]",,,'
    truth = chestxray14(write_chestxray14(tmp_path, LISTED, BOXES, box_header=header)).truth(0)
    assert truth is not None
    assert truth.boxes[1].tolist() == [10, 10, 15, 15]


def test_twelve_folders(tmp_path: Path) -> None:
    folders = [f"images_{number:03d}/images" for number in range(1, 13)]
    findings = {f"{number:08d}_000.png": "No Finding" for number in range(30)}
    chest = chestxray14(write_chestxray14(tmp_path, findings, folders=folders) / "chestxray14")
    assert [chest.image_id(index) for index in range(30)] == [f"{number:08d}_000" for number in range(30)]
    assert all(chest.image(index).size == (64, 64) for index in range(30))


def test_splits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_chestxray14(tmp_path, LISTED, BOXES)
    with pytest.raises(MissingDatasetError, match=r"split=test: no .*/test_list\.txt, which comes with the data set"):
        chestxray14(root, "test")
    write_text(root / "chestxray14" / "test_list.txt", "00000002_000.png\n00000009_000.png")
    write_text(root / "chestxray14" / "train_val_list.txt", "00000001_000.png\n00000001_001.png\n")
    assert len(chestxray14(root, "train_val")) == 2
    assert "sample" not in caplog.text
    assert chestxray14(root, "test").image_id(0) == "00000002_000"
    assert "is a sample: 1 of the 2 images of split test exist" in caplog.text
    boxed = chestxray14(root, "boxes")
    assert [boxed.image_id(index) for index in range(len(boxed))] == ["00000001_000", "00000002_000"]
    with pytest.raises(ValueError, match="split=val: choose from all, train_val, test, boxes"):
        chestxray14(root, "val")


def test_existing_images_make_a_sample(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_chestxray14(tmp_path, LISTED)
    (root / "chestxray14" / "images" / "00000001_001.png").unlink()
    assert len(chestxray14(root)) == 2
    assert "is a sample: 2 of the 3 images of split all exist" in caplog.text
    for file in (root / "chestxray14" / "images").iterdir():
        file.unlink()
    with pytest.raises(MissingDatasetError, match="split=all: none of its 3 images is in"):
        chestxray14(root)


def test_without_a_box_list_there_is_no_truth(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED, BOXES)
    (root / "chestxray14" / "BBox_List_2017.csv").unlink()
    assert chestxray14(root).truth(0) is None
    with pytest.raises(MissingDatasetError, match=r"split=boxes: no .*/BBox_List_2017\.csv"):
        chestxray14(root, "boxes")


def test_the_newer_table_takes_precedence(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED)
    text = (root / "chestxray14" / "Data_Entry_2017.csv").read_text()
    write_text(root / "chestxray14" / "Data_Entry_2017_v2020.csv", text.replace("Edema|Mass", "Hernia"))
    assert chestxray14(root).labels(0) == ("Hernia",)


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDatasetError, match=r"ChestX-ray14 not found; looked in (.|\n)*images_001/images(.|\n)*nihcc"
    ):
        chestxray14(tmp_path)
    with pytest.raises(MissingDatasetError, match=r"neither data\.root nor"):
        chestxray14(None)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "Data_Entry_2017.csv",
            "",
            r"2017\.csv, line 1: no column Image Index, Finding Labels; columns: none",
        ),
        (
            "Data_Entry_2017.csv",
            "Image Index,Age\n",
            r"line 1: no column Finding Labels; columns: Image Index, Age",
        ),
        ("Data_Entry_2017.csv", "Image Index,Finding Labels\na.png\n", r"line 2: 1 cells, fewer than"),
        (
            "Data_Entry_2017.csv",
            "Image Index,Finding Labels\na.png,Flu\n",
            r"line 2: finding 'Flu' is none of Atel",
        ),
        (
            "Data_Entry_2017.csv",
            "Image Index,Finding Labels\na.png,Mass\n\na.png,Mass\n",
            r"line 4: image 'a\.png' is repeated",
        ),
        ("BBox_List_2017.csv", "Image Index,Finding Label,x,y,w,h\n", r"line 1: no column Bbox"),
        (
            "BBox_List_2017.csv",
            "Image Index,Finding Label,Bbox [x\n00000001_000.png,Mass,1,2,3\n",
            r"line 2: box",
        ),
        (
            "BBox_List_2017.csv",
            "Image Index,Finding Label,Bbox [x\n00000001_000.png,Mass,1,2,3,a\n",
            r"line 2: box",
        ),
        (
            "BBox_List_2017.csv",
            "Image Index,Finding Label,Bbox [x\n00000001_000.png,Mass,1,2,-3,4\n",
            r"BBox_List_2017\.csv, line 2: box .* is reversed",
        ),
        (
            "BBox_List_2017.csv",
            "Image Index,Finding Label,Bbox [x\n00000001_000.png,Mass,16,32,1584,64\n",
            r"BBox_List_2017\.csv, line 2: box .* leaves its image, 64 x 64",
        ),
    ],
)
def test_malformed_tables(tmp_path: Path, name: str, content: str, message: str) -> None:
    root = write_chestxray14(tmp_path, LISTED)
    write_text(root / "chestxray14" / name, content)
    with pytest.raises(MalformedDataError, match=message):
        chestxray14(root).truth(0)


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED)
    table = root / "chestxray14" / "Data_Entry_2017.csv"
    table.write_bytes(table.read_bytes() + "Müller".encode("latin-1"))
    with pytest.raises(MalformedDataError, match=r"Data_Entry_2017\.csv, line 5: not UTF-8"):
        chestxray14(root)


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
def test_real_boxes_are_those_of_the_table() -> None:
    chest = chestxray14(Path(os.environ["NAVE_DATA"]), "boxes")
    with (Path(os.environ["NAVE_DATA"]) / "chestxray14" / "BBox_List_2017.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    expected: dict[str, list[list[float]]] = {}
    for row in rows:
        expected.setdefault(row[0].removesuffix(".png"), []).append([float(cell) for cell in row[2:6]])
    for index in range(len(chest)):
        truth = chest.truth(index)
        assert truth is not None
        xywh = np.concatenate([truth.boxes[:, :2], truth.boxes[:, 2:] - truth.boxes[:, :2]], axis=1)
        assert np.allclose(xywh, expected[chest.image_id(index)])
        assert chest.size(index) == (1024, 1024)


def test_boxes_follow_a_smaller_release(tmp_path: Path) -> None:
    """The list's boxes are in pixels of 1024 x 1024; at 256 x 256 they are a quarter."""
    root = write_chestxray14(tmp_path, LISTED, BOXES)
    write_photograph(root / "chestxray14" / "images" / "00000001_000.png", (256, 256))
    write_photograph(root / "chestxray14" / "images" / "00000002_000.png", (1024, 1024))
    chest = chestxray14(root)
    small, full = chest.truth(0), chest.truth(2)
    assert small is not None
    assert full is not None
    assert small.boxes.tolist() == [[18, 13, 100, 56], [40, 40, 60, 60]]
    assert full.boxes.tolist() == [[0, 0, 1024, 1024]]


def test_boxes_fit_no_other_shape(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED, BOXES)
    write_photograph(root / "chestxray14" / "images" / "00000001_000.png", (200, 256))
    with pytest.raises(UnreadableImageError, match=r"00000001_000: \(200, 256\) pixels .* \(1024, 1024\) in BBox"):
        chestxray14(root).truth(0)


def test_what_the_table_does_not_list_is_counted(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED, [*BOXES, "9.png,Mass,1,2,3,4"])
    write_photograph(root / "chestxray14" / "images" / "8.png", (64, 64))
    (root / "chestxray14" / "images" / "00000001_001.png").unlink()
    assert passed_over(chestxray14(root)) == {
        "images of the split without a file": 1,
        "files that the table does not list": 1,
        "boxes of images that the table does not list": 1,
    }


def test_a_box_list_of_other_images_is_refused(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, LISTED, ["00000001_000,Mass,1,2,3,4"])
    with pytest.raises(MalformedDataError, match=r"'00000001_000' here, '00000001_000\.png' there"):
        passed_over(chestxray14(root))
