"""What is on disk when an image is noted as finished."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nave.data.folder import Folder
from nave.localization.interface import Localization
from nave.localization.switch import OFF
from nave.module import ClusteredImage, Explanation, ImageClusters
from nave.runs.finishing import Finisher, Task, WritingError, at_original_size
from nave.runs.journal import Journal
from nave.runs.layout import RunFolder
from tests.helpers.datasets import write_folder

LABELS = np.zeros((15, 20), np.uint8)
LABELS[:, 10:] = 1  # the left half is cluster 0, the right half 1, on a map of half the height and width


class RightHalf:
    """Localizes the right half of the map."""

    reads_tokens, foreground = True, OFF

    def layers(self, layers: Any) -> list[str]:
        return list(layers)

    def ks(self, ks: Any) -> tuple[Any, ...]:
        return tuple(ks)

    def __call__(self, labels: Any, tokens: Any, foreground: Any = None) -> tuple[Any, Localization]:
        return labels, Localization((), (10, 0, 20, 15))


def clustered(*ks: int, image_id: str = "trip/a") -> ClusteredImage:
    over_k = tuple(ImageClusters(k, LABELS, np.zeros((2, 3), np.float32), 1.5) for k in ks)
    return ClusteredImage(image_id, 0, (30, 40), over_k, None)


def finisher(tmp_path: Path, *ks: int, rank: int = 0) -> Finisher:
    dataset = Folder(write_folder(tmp_path / "images", {"trip/a.png": (30, 40)}))
    return Finisher(Journal(RunFolder(tmp_path / "run"), ks), rank, dataset, RightHalf())


def files(run: Path) -> set[str]:
    return {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}


def test_the_map_exists_before_the_note_is_handed_over(tmp_path: Path) -> None:
    finished = finisher(tmp_path, 2)(Task(clustered(2), None, {"files": []}))
    assert files(tmp_path / "run") == {"maps/trip/a.png"}
    ((_, text, packed),) = finished.over_k
    note = json.loads(text)
    assert not packed
    assert (note["index"], note["k"], note["line"]["box"], note["content"]) == (0, 2, [20, 0, 40, 30], {"files": []})
    assert finished.seconds.keys() == {"localization", "writing"}


def test_a_map_has_the_pixels_of_the_original_image(tmp_path: Path) -> None:
    finisher(tmp_path, 2)(Task(clustered(2), None, None))
    with Image.open(tmp_path / "run" / "maps" / "trip" / "a.png") as labels:
        assert labels.size == (40, 30)
        assert np.array_equal(np.asarray(labels)[0], [0] * 20 + [1] * 20)


def test_a_map_of_the_right_size_is_left_alone() -> None:
    one = Explanation("a", 0, (15, 20), 2, LABELS, np.zeros((2, 3), np.float32), 1.5, Localization((), (0, 0, 1, 1)))
    assert at_original_size(one) is LABELS


def test_an_error_names_the_image_and_leaves_no_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("nave.runs.finishing.create_bytes", full)
    with pytest.raises(WritingError, match="trip/a: no space left"):
        finisher(tmp_path, 2)(Task(clustered(2), None, None))
    assert not Journal(RunFolder(tmp_path / "run"), [2]).finished()


def test_every_k_has_its_folder(tmp_path: Path) -> None:
    finished = finisher(tmp_path, 2, 3)(Task(clustered(2, 3), None, None))
    assert files(tmp_path / "run") == {"k2/maps/trip/a.png", "k3/maps/trip/a.png"}
    assert [(k, json.loads(line)["k"]) for k, line, _ in finished.over_k] == [(2, 2), (3, 3)]
