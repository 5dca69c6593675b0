"""Whole runs over every data set, in its real format with tiny images: which scores each one gets."""

import json
import shutil
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

import nave.run
from nave.evaluate import main
from nave.metrics.class_iou import group_centroids, match_groups
from nave.runs.layout import RunFolder
from nave.runs.scoring import evaluate
from tests.helpers.datasets import (
    Thing,
    coco_tables,
    configured,
    write_chestxray14,
    write_coco,
    write_stl10,
    write_voc,
)
from tests.helpers.running import into, record

pytestmark = pytest.mark.slow
TINY = (
    *("model=efficientnet_lite0", "training=random", "layers=[-1]", "k=3", "overlays=0", "photographs=null"),
    *("localization.min_area=8", "localization.border=0"),
)
BASELINE = ("model=efficientnet_lite0", "training=random", "overlays=0", "photographs=null")


def ran(folder: Path, *overrides: str) -> dict:
    """The content of metrics.json after ``python -m nave.run`` with ``overrides``."""
    with mock.patch.object(sys, "argv", ["run", into(folder), "trainer.accelerator=cpu", *overrides]):
        nave.run.main()
    return json.loads((folder / "metrics.json").read_text())


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def animals(root: Path) -> Path:
    things = {f"00000{i}": [Thing("cat", (5, 3, 20, 18)), Thing("dog", (30, 20, 39, 29))] for i in range(4)}
    return write_voc(root, 2012, things)


def test_voc_is_scored_by_boxes_and_by_masks(tmp_path: Path) -> None:
    root = animals(tmp_path)
    shutil.copytree(root / "VOCdevkit/VOC2012/SegmentationClass", root / "VOCdevkit/VOC2012/SegmentationObject")
    metrics = ran(
        tmp_path / "run", "data=voc12", f"data.root={root}", "evaluation.groups=2",
        "evaluation.per_class=true", "evaluation.per_size=true", *TINY,
    )  # fmt: skip
    assert {"nave", "corloc", "ap50", "ar100", "miou", "ari", "nmi", "balance", "coherence"} <= set(metrics)
    assert {name for name in metrics if "/" in name} == {"corloc/cat", "corloc/dog", "corloc/small"}
    assert metrics["corloc"]["images"] == 4
    assert metrics["miou"]["images"] == metrics["class_miou"]["images"] == 2  # every second image has a mask
    first, second, *_ = lines(tmp_path / "run")
    assert "segmentation" not in second
    assert first["segmentation"]["classes"] == [0, 8]
    assert first["segmentation"]["names"] == [None, "cat"]
    assert metrics["object_miou"] == metrics["miou"]  # one object of one class
    assert np.sum(first["segmentation"]["pixels"]) == 30 * 40 - (16 * 17 - 14 * 15)  # all but the void line


def test_class_miou_from_disk_is_that_of_the_maps(tmp_path: Path) -> None:
    root = animals(tmp_path)
    metrics = ran(tmp_path / "run", "data=voc12", f"data.root={root}", "evaluation.groups=3", *TINY)
    dataset, table = configured("voc12", root=root), np.zeros((3, 21), np.int64)
    centroids = {name: np.load(tmp_path / "run" / "centroids" / f"{name}.npy") for name in ("000000", "000002")}
    grouping = group_centroids(centroids.values(), groups=3)
    for index in (0, 2):
        labels = np.asarray(Image.open(tmp_path / "run" / "maps" / f"{dataset.image_id(index)}.png"))
        groups, classes = grouping.predict(centroids[dataset.image_id(index)])[labels], dataset.mask(index)
        np.add.at(table, (groups[classes < 255], classes[classes < 255]), 1)
    assert metrics["class_miou"]["value"] == pytest.approx(100 * match_groups(table).miou, abs=1e-4)


def test_coco(tmp_path: Path) -> None:
    boxes = [(10, "dog", (1, 1, 20, 20), 0), (11, "cat", (4, 4, 30, 20), 0)]
    root = write_coco(tmp_path, coco_tables({"a.jpg": (32, 40), "b.jpg": (33, 30), "c.jpg": (32, 32)}, boxes))
    metrics = ran(tmp_path / "run", "data=coco", f"data.root={root}", *TINY)
    assert metrics["corloc"]["images"] == 2
    assert metrics["ap50"]["images"] == 3  # boxes on an image without objects are wrong


def test_chest_xrays_with_boxes_are_scored_and_all_are_described(tmp_path: Path) -> None:
    root = write_chestxray14(tmp_path, {"1.png": "Mass", "2.png": "No Finding"}, ["1.png,Mass,16,32,480,640"])
    metrics = ran(tmp_path / "run", "data=chestxray14", f"data.root={root}", "stability=2", *TINY)
    assert metrics["corloc"]["images"] == 1
    for name in ("balance", "coherence", "stability"):
        assert metrics[name]["images"] == 2
        assert metrics[name]["low"] <= metrics[name]["value"] <= metrics[name]["high"] <= 100


def test_images_without_boxes_are_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = ran(tmp_path / "run", "data=stl10", f"data.root={write_stl10(tmp_path)}", *TINY)
    assert metrics["corloc"] == {"value": None, "low": None, "high": None, "images": 0}
    assert metrics["balance"]["images"] == 3
    assert "stability" not in metrics  # not asked for
    assert main([str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "coherence" in out
    assert "corloc" not in out


@pytest.mark.parametrize(("baseline", "labels"), [("lost", 2), ("tokencut", 2), ("whole_image", 1)])
def test_baselines_write_a_map_and_one_box(tmp_path: Path, baseline: str, labels: int) -> None:
    """The number of clusters has no effect on them."""
    root = animals(tmp_path)
    options = ("data=voc12", f"data.root={root}", f"localization={baseline}", "k=[3,5]")
    metrics = ran(tmp_path / "run", *options, *BASELINE)
    for line in lines(tmp_path / "run"):
        assert (line["k"], line["clusters"]) == (None, labels)
        assert line["inertia"] is None
        (component,) = line["components"]
        assert component["box"] == line["box"]
    assert (tmp_path / "run" / "maps" / "000000.png").is_file()
    assert metrics["nave"] == metrics["corloc"]  # one box: nothing to choose
    assert metrics["miou"]["value"] is not None
    assert "class_miou" not in metrics


def test_keys_need_attention(tmp_path: Path) -> None:
    options = ("data=voc12", f"data.root={animals(tmp_path)}", "localization=lost", "localization.features=keys")
    with pytest.raises(SystemExit):
        ran(tmp_path / "run", *options, *BASELINE)
    assert "no layer 'blocks.6.attn.qkv'" in record(tmp_path / "run")["error"]


def test_scoring_again_gives_the_same_and_other_options_write_nothing(tmp_path: Path) -> None:
    metrics = ran(tmp_path / "run", "data=voc12", f"data.root={animals(tmp_path)}", *TINY)
    assert evaluate(RunFolder(tmp_path / "run")) == {".": metrics}
    before = (tmp_path / "run" / "metrics.json").read_bytes()
    strict = evaluate(RunFolder(tmp_path / "run"), ["iou=1.0", "per_class=true"])["."]
    assert strict["corloc"]["value"] == 0
    assert "corloc/cat" in strict
    assert (tmp_path / "run" / "metrics.json").read_bytes() == before
    with pytest.raises(ValueError, match=r"option overlap=0\.3.*options are iou, hard, inner, per_class"):
        evaluate(RunFolder(tmp_path / "run"), ["overlap=0.3"])


def test_a_folder_that_cannot_be_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert "error: " in capsys.readouterr().err
