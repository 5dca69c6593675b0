import os
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from nave.data.folder import Folder
from nave.data.interface import Labelled, MissingDatasetError, UnreadableImageError, passed_over
from tests.helpers.datasets import configured, write_folder, write_photograph, write_text


def ids(root: Path) -> list[str]:
    folder = Folder(root)
    return [folder.image_id(index) for index in range(len(folder))]


def test_recursive_sorted_and_named_by_path(tmp_path: Path) -> None:
    names = ["z.jpg", "trip/beach.JPG", "trip/a/deep.png", "b.webp", "trip.v2/x.y.tif"]
    write_folder(tmp_path, dict.fromkeys(names, (4, 5)))
    write_text(tmp_path / "notes.txt", "no image")
    write_folder(tmp_path, dict.fromkeys([".hidden.jpg", ".cache/thumb.jpg"], (4, 5)))
    assert ids(tmp_path) == ["b", "trip/a/deep", "trip/beach", "trip.v2/x.y", "z"]


def test_ids_stay_unique(tmp_path: Path) -> None:
    write_folder(tmp_path, dict.fromkeys(["a.jpg", "a.png", "b.jpg"], (4, 5)))
    assert ids(tmp_path) == ["a.jpg", "a.png", "b"]
    write_folder(tmp_path, {"a.jpg.png": (4, 5)})
    assert ids(tmp_path) == ["a.jpg", "a.jpg.png", "a.png", "b.jpg"]


def test_size_image_and_no_truth(tmp_path: Path) -> None:
    folder = Folder(write_folder(tmp_path, {"a.jpg": (4, 5)}))
    assert (folder.size(0), folder.image(0).size, folder.truth(0)) == ((4, 5), (5, 4), None)


def test_a_text_file_named_jpg_is_unreadable(tmp_path: Path) -> None:
    write_text(tmp_path / "sub" / "words.jpg", "no image")
    with pytest.raises(UnreadableImageError, match="sub/words: not an image"):
        Folder(tmp_path).image(0)


def test_an_empty_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "notes.txt", "no image")
    with pytest.raises(MissingDatasetError, match=rf"no images under {tmp_path}.*\.jpg"):
        Folder(tmp_path)


def test_an_absent_folder(tmp_path: Path) -> None:
    with pytest.raises(
        MissingDatasetError, match=r"looked in .*/gone \(which does not exist\)(.|\n)*data\.root=photos/"
    ):
        Folder(tmp_path / "gone")


def test_a_single_file(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": (4, 5), "b.jpg": (6, 7)})
    folder = Folder(tmp_path / "b.jpg")
    assert (len(folder), folder.image_id(0), folder.size(0)) == (1, "b", (6, 7))
    assert passed_over(folder) == {}


def test_a_file_that_is_no_image_is_named_for_what_it_is(tmp_path: Path) -> None:
    with ZipFile(tmp_path / "my photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"")
    with pytest.raises(MissingDatasetError, match=r"is a ZIP archive: unpack it \(.* -e '.*my photos.zip'"):
        Folder(tmp_path / "my photos.zip")
    write_text(tmp_path / "notes.txt", "no image")
    with pytest.raises(MissingDatasetError, match=r"notes\.txt is no image that is known by its suffix"):
        Folder(tmp_path / "notes.txt")


def test_no_folder() -> None:
    with pytest.raises(MissingDatasetError, match="no image folder given; name one"):
        Folder(None)


def test_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write_folder(tmp_path / "photos", {"a.jpg": (4, 5)})
    assert len(Folder("~/photos")) == 1


FILES = {"train/cat/a.jpg": (5, 6), "train/cat/far/b.png": (5, 6), "train/dog/a.jpg": (7, 8), "val/cat/c.jpg": (5, 6)}


def test_the_folder_is_the_class(tmp_path: Path) -> None:
    dataset = configured("image_folder", root=write_folder(tmp_path, FILES), split="train", name="pets")
    assert [(dataset.image_id(i), dataset.labels(i)) for i in range(len(dataset))] == [
        ("cat/a", ("cat",)),
        ("cat/far/b", ("cat",)),
        ("dog/a", ("dog",)),
    ]
    assert dataset.name == "pets"
    assert isinstance(dataset, Labelled)
    assert dataset.exclusive
    assert dataset.truth(0) is None
    assert dataset.size(2) == (7, 8)


def test_a_split_is_a_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    assert len(configured("image_folder", root=tmp_path, split="val")) == 1
    assert len(configured("image_folder", root=tmp_path / "train")) == 3
    with pytest.raises(MissingDatasetError, match="looked in"):
        configured("image_folder", root=tmp_path, split="test")
    with pytest.raises(MissingDatasetError, match=r"data\.root=photos/"):
        configured("image_folder", root=None, split="train")


def test_images_outside_of_class_folders_are_refused(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.jpg": (5, 6), "cat/b.jpg": (5, 6)})
    with pytest.raises(MissingDatasetError, match="1 images are in no class folder"):
        configured("image_folder", root=tmp_path)


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    write_folder(tmp_path / "store", {"cats/a.jpg": (4, 5), "cats/far/b.jpg": (4, 5)})
    write_folder(tmp_path / "photos", {"c.jpg": (4, 5)})
    (tmp_path / "photos" / "cats").symlink_to("../store/cats")
    assert ids(tmp_path / "photos") == ["c", "cats/a", "cats/far/b"]
    assert passed_over(Folder(tmp_path / "photos")) == {}
    (tmp_path / "photos" / "c.jpg").unlink()
    classes = configured("image_folder", root=tmp_path / "photos")
    assert [classes.labels(index) for index in range(len(classes))] == [("cats",), ("cats",)]


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a/b/c.jpg": (4, 5)})
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to("self")
    folder = Folder(tmp_path)
    assert ids(tmp_path) == ["a/b/c"]
    assert passed_over(folder) == {"links to a folder around them": 1, "broken links": 1}


def test_what_is_passed_over_is_counted_by_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["a.jpg", ".hidden.jpg", "b/.hidden.png", ".cache/thumb.jpg", "locked/d.jpg"]
    write_folder(tmp_path, dict.fromkeys(names, (4, 5)))
    write_text(tmp_path / "raw.CR2", "a camera's own format")
    write_text(tmp_path / "notes.txt", "no image")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    scandir = os.scandir

    def locked(path: Path) -> Any:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    assert passed_over(Folder(tmp_path)) == {
        "hidden images": 2,
        "hidden folders": 1,
        "broken links": 1,
        "folders that cannot be read": 1,
        "images of other formats": 1,
        "neither files nor folders": 1,
    }
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(MissingDatasetError, match=r"no images under .*; passed over: .*'hidden images': 2"):
        Folder(tmp_path)


def test_names_that_are_not_utf_8_become_legible_ids(tmp_path: Path) -> None:
    content = write_photograph(tmp_path / "plain.jpg", (4, 5)).read_bytes()
    for name in (b"caf\xe9.jpg", b"caf\xe8.jpg", b"caf%E8.jpg", "caf\u00e9.jpg".encode()):
        (tmp_path / os.fsdecode(name)).write_bytes(content)
    folder = Folder(tmp_path)
    assert set(ids(tmp_path)) == {"caf%E9", "caf%E8", "caf%E8-0c96fc35", "caf\u00e9", "plain"}
    assert all(folder.image(index).size == (5, 4) for index in range(5))
