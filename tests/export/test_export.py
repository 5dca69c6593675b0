"""``python -m nave.export`` against pycocotools, labelme and FiftyOne; boxes and maps against those of the run."""

import base64
import contextlib
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import ExifTags, Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nave.config import CONF
from nave.export.__main__ import main
from nave.export.coco import image_numbers
from nave.runs.reader import Run, RunAtK
from tests.helpers.datasets import write_folder, write_stl10, write_voc
from tests.helpers.pages import write_run
from tests.helpers.running import into, voc
from tests.helpers.training import nave_run

SIZE = (30, 40)
IMAGES = ("000000", "000001", "000002", "000003")


def data(choice: str, root: Path) -> dict[str, Any]:
    """The configuration of a data set."""
    return {**yaml.safe_load((CONF / "data" / f"{choice}.yaml").read_text()), "root": str(root)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a small VOC at two K; one image has a mask of its object."""
    root = tmp_path_factory.mktemp("run")
    write_voc(root, things={image_id: [] for image_id in IMAGES}, size=SIZE)
    folder = write_run(root / "run", image_ids=IMAGES, ks=(2, 3), size=SIZE, overrides={"data": data("voc07", root)})
    _, (x1, y1, x2, y2) = objects(runs(folder)[0])[0]
    mask = np.zeros(SIZE, np.uint8)
    mask[round(y1) : round(y2), round(x1) : round(x2)] = 1
    path = root / "VOCdevkit" / "VOC2007" / "SegmentationObject" / f"{IMAGES[0]}.png"
    path.parent.mkdir()
    Image.fromarray(mask).save(path)
    return folder


def objects(at_k: RunAtK) -> list[tuple[str, list[float]]]:
    """Class and box of every annotated object."""
    truth = [line["truth"] for line in at_k.lines.values()]
    return [pair for entry in truth if entry for pair in zip(entry["classes"], entry["boxes"], strict=True)]


def export(run: Path, to: str, output: Path, *options: str) -> Path:
    assert main([str(run), f"to={to}", f"output={output}", *options]) == 0
    return output


def runs(run: Path) -> list[RunAtK]:
    return list(Run.read(run).at_k)


def evaluated(folder: Path, results: str, kind: str) -> COCOeval:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / "annotations.json"))
        evaluation = COCOeval(truth, truth.loadRes(str(folder / results)), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_pycocotools_finds_the_average_precision_of_the_run(run: Path, tmp_path: Path) -> None:
    export(run, "coco", tmp_path)
    for at_k in runs(run):
        stats = evaluated(tmp_path / f"k{at_k.k}", "bbox.json", "bbox").stats
        assert 100 * stats[1] == pytest.approx(at_k.scores["ap50"]["value"], abs=1e-3)
        assert 100 * stats[8] == pytest.approx(at_k.scores["ar100"]["value"], abs=1e-3)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2
def test_pycocotools_reads_masks_that_are_the_clusters_of_the_maps(run: Path, tmp_path: Path) -> None:
    export(run, "coco", tmp_path, "k=3")
    assert not (tmp_path / "k2").exists()
    assert evaluated(tmp_path / "k3", "segm.json", "segm").stats[0] >= 0
    check_masks(tmp_path / "k3", runs(run)[1], atol=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools on NumPy 2
def test_masks_fit_where_images_are_larger_than_the_maps_were(tmp_path: Path) -> None:
    overrides = [*voc(tmp_path), "k=3", "image_size=[20,32]", "localization.border=2"]
    assert nave_run(*overrides, into(tmp_path / "run")) == 0
    folder = export(tmp_path / "run", "coco", tmp_path / "out")
    check_masks(folder, runs(tmp_path / "run")[0], atol=1)  # a pixel of the map is 1.25 x 1.5 of the image


def check_masks(folder: Path, at_k: RunAtK, atol: float) -> None:
    """Every mask is of one cluster, and as far from the component's box as ``atol`` pixels."""
    content = json.loads((folder / "annotations.json").read_text())
    names = {image["id"]: image["image_id"] for image in content["images"]}
    masks = json.loads((folder / "segm.json").read_text())
    components = [component for line in at_k.lines.values() for component in line["components"]]
    assert len(masks) == len(components) > 0
    for entry, component in zip(masks, components, strict=True):
        mask = rle.decode(entry["segmentation"]).astype(bool)
        assert set(at_k.read_map(names[entry["image_id"]])[mask]) == {component["cluster"]}
        ys, xs = np.nonzero(mask)
        found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        np.testing.assert_allclose(found, component["box"], atol=atol)


def test_the_ground_truth_keeps_boxes_classes_masks_and_files(run: Path, tmp_path: Path) -> None:
    folder = export(run, "coco", tmp_path) / "k2"
    content = json.loads((folder / "annotations.json").read_text())
    assert [(entry["class"], entry["bbox"]) for entry in content["annotations"]] == [
        (name, [x1, y1, x2 - x1, y2 - y1]) for name, (x1, y1, x2, y2) in objects(runs(run)[0])
    ]
    kinds = {type(entry["segmentation"]) for entry in content["annotations"]}
    assert kinds == {dict, list}  # one image has a mask of its object
    for image in content["images"]:
        with Image.open(folder / image["file_name"]) as photograph:
            assert photograph.size == (image["width"], image["height"])
        assert not Path(image["file_name"]).is_absolute()


def test_numbers_are_those_of_coco_where_the_names_have_them() -> None:
    assert image_numbers(["000000000139", "a/000000000285"]) == {"000000000139": 139, "a/000000000285": 285}
    assert image_numbers(["2007_000027", "2008_000027"]) == {"2007_000027": 1, "2008_000027": 2}
    assert image_numbers(["beach", "trip/3"]) == {"beach": 1, "trip/3": 2}


def test_images_that_are_no_files_are_written(tmp_path: Path) -> None:
    write_stl10(tmp_path, "test", 2)
    stl10 = {"data": data("stl10", tmp_path)}
    run = write_run(tmp_path / "run", image_ids=("test_000000", "test_000001"), size=(96, 96), overrides=stl10)
    folder = export(run, "labelme", tmp_path / "out")
    content = json.loads((folder / "test_000001.json").read_text())
    assert content["imagePath"] == "images/test_000001.png"
    with Image.open(folder / content["imagePath"]) as photograph:
        assert photograph.size == (96, 96)


def test_a_turned_photograph_is_written_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    write_folder(tmp_path / "photographs", {"plain.jpg": SIZE})
    Image.new("RGB", SIZE).save(tmp_path / "photographs" / "turned.jpg", exif=exif)  # upright: as large as the other
    of = {"data": data("folder", tmp_path / "photographs")}
    write_run(tmp_path / "run", image_ids=("plain", "turned"), size=SIZE, overrides=of)
    folder = export(tmp_path / "run", "coco", tmp_path / "out")
    files = [image["file_name"] for image in json.loads((folder / "annotations.json").read_text())["images"]]
    assert files == ["../photographs/plain.jpg", "images/turned.png"]
    with Image.open(folder / files[1]) as photograph:
        assert photograph.size == SIZE[::-1]


def test_a_sweep_exports_each_run(tmp_path: Path) -> None:
    write_folder(tmp_path / "photographs", {"one.png": SIZE})
    for name in ("a", "b"):
        of = {"data": data("folder", tmp_path / "photographs")}
        write_run(tmp_path / "sweep" / name, image_ids=("one",), size=SIZE, overrides=of)
    folder = export(tmp_path / "sweep", "coco", tmp_path / "out")
    assert len(list(folder.rglob("bbox.json"))) == 2


def test_labelme_files_hold_masks_and_boxes(run: Path, tmp_path: Path) -> None:
    folder = export(run, "labelme", tmp_path) / "k2"
    for image_id, line in runs(run)[0].lines.items():
        content = json.loads((folder / f"{image_id}.json").read_text())
        assert (folder / content["imagePath"]).is_file()
        shapes: dict[str, list[Any]] = {"mask": [], "rectangle": []}
        for shape in content["shapes"]:
            shapes[shape["shape_type"]].append(shape)
        assert shapes["rectangle"][-1]["points"] == [line["box"][:2], line["box"][2:]]
        labels = runs(run)[0].read_map(image_id)
        for shape, component in zip(shapes["mask"], line["components"], strict=True):
            (x1, y1), (x2, y2) = shape["points"]
            mask = np.array(Image.open(io.BytesIO(base64.b64decode(shape["mask"]))))
            assert mask.shape == (y2 - y1 + 1, x2 - x1 + 1)
            assert set(labels[y1 : y2 + 1, x1 : x2 + 1][mask]) == {component["cluster"]}


def test_fiftyone_files_hold_maps_masks_and_boxes(run: Path, tmp_path: Path) -> None:
    folder = export(run, "fiftyone", tmp_path) / "k2"
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    for sample, line in zip(samples, runs(run)[0].lines.values(), strict=True):
        labels = runs(run)[0].read_map(line["image_id"])
        np.testing.assert_array_equal(np.array(Image.open(folder / sample["clusters"]["mask_path"])), labels + 1)
        size = np.array([line["width"], line["height"]] * 2)
        for entry, component in zip(sample["components"]["detections"], line["components"], strict=True):
            x, y, width, height = np.array(entry["bounding_box"]) * size
            np.testing.assert_allclose([x, y, x + width, y + height], component["box"])
            mask = np.load(io.BytesIO(zlib.decompress(base64.b64decode(entry["mask"]["$binary"]["base64"]))))
            assert mask.dtype == bool
            assert mask.shape == (round(y + height) - round(y), round(x + width) - round(x))


@pytest.mark.slow
def test_labelme_itself_opens_the_files(run: Path, tmp_path: Path) -> None:
    label_file = pytest.importorskip("labelme._label_file")
    folder = export(run, "labelme", tmp_path) / "k2"
    for image_id, line in runs(run)[0].lines.items():
        found = label_file.LabelFile(str(folder / f"{image_id}.json"))
        assert found.image_data
        assert sum(shape["mask"] is not None for shape in found.shapes) == len(line["components"])


@pytest.mark.slow
def test_fiftyone_itself_opens_the_files(run: Path, tmp_path: Path) -> None:
    """Needs a MongoDB, which FiftyOne brings or ``FIFTYONE_DATABASE_URI`` names."""
    fiftyone = pytest.importorskip("fiftyone")
    folder = export(run, "fiftyone", tmp_path) / "k2"
    dataset = fiftyone.Dataset.from_dir(str(folder), dataset_type=fiftyone.types.FiftyOneDataset)
    for sample, (image_id, line) in zip(dataset, runs(run)[0].lines.items(), strict=True):
        assert Path(sample.filepath).is_file()
        np.testing.assert_array_equal(sample.clusters.get_mask(), runs(run)[0].read_map(image_id) + 1)
        assert len(sample.components.detections) == len(line["components"])
        assert all(entry.has_mask for entry in sample.components.detections)
    assert dataset.mask_targets == {"clusters": {1: "cluster 0", 2: "cluster 1"}}
    dataset.delete()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["to=yolo"], "to=yolo: choose to=coco, to=fiftyone, to=labelme"),
        ([], "no to=: choose to=coco"),
        (["to=coco", "k=9"], "no run has K = 9: choose of 2, 3"),
        (["to=coco", "kk=9"], "kk=9: give to=, k=, output="),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(
    run: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([str(run), *options]) == 1
    assert message in capsys.readouterr().err


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "to=coco"]) == 1
    assert "no run.json in" in capsys.readouterr().err
