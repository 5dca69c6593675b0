"""Runs whose images have equal ids, and are read from the same files or from others."""

import tracemalloc
from pathlib import Path

import pytest

from nave.comparison.diff import measure
from nave.comparison.images import Hashes, warn_of_different_images
from nave.comparison.rows import rows
from nave.data.content import files_of, meaning_of
from nave.data.folder import Folder
from nave.data.interface import Dataset
from nave.data.shapes import Shapes
from nave.data.voc import VOC
from nave.data.watermark import Watermarked
from nave.runs.journal import Journal
from nave.runs.labels import distinguished
from nave.runs.layout import RunFolder
from nave.runs.notes import Note, Unreadable
from nave.runs.provenance import note_contents
from nave.runs.reader import RunAtK, read_runs, runs_at_k
from tests.helpers.datasets import Thing, write_photograph, write_voc
from tests.helpers.pages import write_run

NAMES = ("0001", "0002", "0003")
MARK = {"probability": 1.0, "seed": 0, "size": 0.5}


def folder(root: Path, *seeds: int) -> Folder:
    for name, seed in zip(NAMES, seeds, strict=False):
        write_photograph(root / f"{name}.png", seed=seed)
    return Folder(root)


def voc(root: Path, name: str) -> VOC:
    write_voc(root, things={"000001": [Thing(name, (5, 3, 20, 18))]})
    return VOC(root, 2007, "trainval", image_sets="Main", download=False)


def runs_on(root: Path, *datasets: Dataset | None) -> list[RunAtK]:
    """Runs ``0``, ``1``, … under two K on the data sets; None: it is not known what they were read from."""
    folders = [root / str(number) for number in range(len(datasets))]
    for path, dataset in zip(folders, datasets, strict=True):
        training = f"training{path.name}"
        write_run(path, image_ids=NAMES, ks=(3, 5), photographs=False, overrides={"training": training})
        if dataset is not None:
            note_contents(RunFolder(path).data(), dataset)
    return distinguished(runs_at_k(read_runs(folders)))


def told(caplog: pytest.LogCaptureFixture, root: Path, *datasets: Dataset | None) -> list[str]:
    """What is said of :func:`runs_on`."""
    warn_of_different_images(runs_on(root, *datasets))
    return [message.replace(f"{root}/", "") for message in caplog.messages]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("compare", [rows, measure])
def test_other_files_of_equal_names_are_told_once_a_pair(tmp_path, caplog, compare):
    one, other = folder(tmp_path / "one", 0, 1, 2), folder(tmp_path / "other", 0, 8, 9)
    compare(runs_on(tmp_path, one, other, one))
    assert [message.replace(f"{tmp_path}/", "") for message in caplog.messages if "equal id" in message] == [
        "0 and 1: 2 of 3 images of equal id differ (0002): figures compare different pictures",
        "1 and 2: 2 of 3 images of equal id differ (0002): figures compare different pictures",
    ]


def test_copies_elsewhere_and_images_of_one_run_alone_are_no_news(tmp_path, caplog):
    assert not told(caplog, tmp_path, folder(tmp_path / "one", 0, 1, 2), folder(tmp_path / "other", 0, 1))


def test_what_is_not_known_is_passed_over(tmp_path, caplog):
    dataset = folder(tmp_path / "one", 0, 1, 2)
    (tmp_path / "1").mkdir()
    assert not told(caplog, tmp_path, dataset, None)
    for content in (b'{"index": 0, "files": [], "truth": "0"}\n', b"torn", b""):
        (tmp_path / "1" / "data.jsonl").write_bytes(content)
        assert not told(caplog, tmp_path, dataset, None)


def test_annotations_and_masks_may_differ(tmp_path, caplog):
    cat, dog = voc(tmp_path / "one", "cat"), voc(tmp_path / "other", "dog")
    dog.files(0)[2].unlink()
    assert not told(caplog, tmp_path, cat, dog)


def test_stamped_files_are_the_same_and_stamped_pixels_are_others(tmp_path, caplog):
    cat, shapes = voc(tmp_path / "voc", "cat"), Shapes(split="test", images=10, size=64, seed=0)
    assert not told(caplog, tmp_path / "a", cat, Watermarked(cat, "cat", **MARK))
    stamped = sum("square" in shapes.truth(index).classes for index in range(10))
    (message,) = told(caplog, tmp_path / "b", shapes, Watermarked(shapes, "square", **MARK))
    assert message.startswith(f"0 and 1: {stamped} of 10 images of equal id differ (")


def test_an_unreadable_image_neither_counts_nor_shifts_the_others(tmp_path, caplog):
    one, other = folder(tmp_path / "one", 0, 1, 2), folder(tmp_path / "other", 7, 1, 9)
    runs = runs_on(tmp_path, one, other)
    notes = [
        Note(index=index, k=3, line={"image_id": name}, content=files_of(one, index) | meaning_of(one, index))
        for index, name in enumerate(NAMES)
    ]
    torn = Note(index=0, unreadable=Unreadable(image_id=NAMES[0], reason="torn"), content=files_of(one, 0))
    journal = Journal(RunFolder(tmp_path / "0"), [3])
    journal.append(0, torn, *notes[1:])
    journal.collect(3)
    warn_of_different_images(runs)
    (message,) = caplog.messages
    assert message.endswith(": 1 of 2 images of equal id differ (0003): figures compare different pictures")


def test_bytes_of_each_image_are_few(tmp_path):
    path = tmp_path / "data.jsonl"
    rest = f'"files": [{{"size": 9, "changed": 0, "sha256": "{"0" * 64}"}}], "truth": "0"}}\n'
    path.write_text("".join(f'{{"index": {i}, "image_id": "trip/{i}", {rest}' for i in range(3000)))
    tracemalloc.start()
    hashes = Hashes.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(hashes.keys) == 3000
    assert peak < 300_000
