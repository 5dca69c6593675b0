"""Finished runs in the real format, without an encoder."""

import json
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from nave.config import CONF, register
from nave.runs.files import npy, write_bytes, write_json, write_whole
from nave.runs.layout import BY_IMAGE, ResultsFolder, RunFolder
from nave.runs.packing import Catalogue, Packer, member
from nave.runs.pictures import keep_photograph
from nave.runs.prediction import ComponentLine, Line, MapLine, TruthLine
from nave.runs.scoring import evaluate
from nave.runs.shards import PACKED
from nave.viz.overlay import indexed

SIZE = (60, 80)  # height, width
CLASSES = ("cat", "dog", "train")


def write_centroids(results: ResultsFolder, image_id: str, centroids: np.ndarray) -> None:
    """Writes the centroids of one image to a file of their own."""
    write_bytes(results.centroids(image_id), npy(centroids))


@cache
def resolved() -> dict[str, Any]:
    """The default configuration, composed once."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", overrides=["data=folder", "data.root=nowhere"])
    content = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def configuration(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The default configuration with dotted keys replaced."""
    config = deepcopy(resolved())
    for key, value in overrides.items():
        *groups, last = key.split(".")
        reduce(dict.__getitem__, groups, config)[last] = value
    return config


def labels(size: tuple[int, int], k: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """K vertical bands of different widths; the last but one stands in the middle."""
    rng = np.random.default_rng(seed)
    marks = np.linspace(0, size[1], k + 1)[1:-1] + rng.integers(-2, 3, k - 1)
    return np.tile(np.searchsorted(marks, np.arange(size[1]) + 0.5), (size[0], 1)).astype(np.uint8)


def line(image_id: str, number: int, k: int, size: tuple[int, int], truth: bool) -> Line:
    """Image 0 is hit, image 1 is missed, and so on; classes take turns."""
    columns = labels(size, k, number)[0]
    bands = [np.flatnonzero(columns == cluster) for cluster in range(k)]
    boxes = [[int(band[0]), 0, int(band[-1]) + 1, size[0]] for band in bands]
    hit = boxes[number % k] if number % 2 == 0 else [0, 0, 4, 4]
    return Line(
        image_id=image_id,
        width=size[1],
        height=size[0],
        k=k,
        clusters=k,
        inertia=10.0 / k,
        map=MapLine(balance=0.9, coherence=0.95, stability=None),
        box=boxes[number % k],
        components=[
            ComponentLine(cluster=cluster, area=40, score=0.5 - cluster / 100, box=box, inner_box=box)
            for cluster, box in enumerate(boxes)
        ],
        truth=TruthLine(boxes=[hit], classes=[CLASSES[number % 3]], hard=[False]) if truth else None,
    )


def write_lines(results: ResultsFolder, lines: Sequence[Line]) -> None:
    """Writes predictions.jsonl."""
    write_whole(results.predictions, "".join(json.dumps(line) + "\n" for line in lines))


def write_run(
    path: Path,
    *,
    image_ids: Sequence[str] = ("one", "two", "three"),
    ks: Sequence[int] = (3,),
    overrides: Mapping[str, Any] | None = None,
    truth: bool = True,
    photographs: bool = True,
    size: tuple[int, int] = SIZE,
    record: Mapping[str, Any] | None = None,
    packed: bool = False,
) -> Path:
    """A run of a folder of photographs, with its scores."""
    config = configuration({"k": list(ks)} | dict(overrides or {}))
    folder = RunFolder(path)
    for k in ks:
        results = folder.at(k, ks)
        for number, image_id in enumerate(image_ids):
            results.map(image_id).parent.mkdir(parents=True, exist_ok=True)
            indexed(labels(size, k, number)).save(results.map(image_id))
        write_lines(results, [line(image_id, number, k, size, truth) for number, image_id in enumerate(image_ids)])
        if packed:
            pack(results)
    for number, image_id in enumerate(image_ids if photographs else ()):
        pixels = np.random.default_rng(number).integers(0, 255, (*size, 3), dtype=np.uint8)
        keep_photograph(Image.fromarray(pixels), folder, image_id, 640)
    training = {"default": "imagenet1k"}.get(config["training"], config["training"])
    noted = {"status": "ok", "started": "2026-01-31T12:00:00+00:00", "training": training, "unreadable": []}
    noted |= {
        "model": config["model"]["name"],
        "data": "folder",
        "images": len(image_ids),
        "images_per_second": 2.0,
        "ks": list(ks),
    }
    write_json(folder.record, noted | {"config": config} | dict(record or {}))
    _score(folder, ks)
    return path


def pack(results: ResultsFolder) -> None:
    """Moves the maps and centroids of a run, files of their own, into shards."""
    for kind in PACKED:
        folder, suffix = results.path / kind, BY_IMAGE[kind]
        files = {path: path.read_bytes() for path in sorted(folder.rglob(f"*{suffix}"))}
        shutil.rmtree(folder, ignore_errors=True)
        catalogue, packer = Catalogue(folder), Packer(RunFolder(results.path), [2], 0, {})
        for path, content in files.items():
            name = path.relative_to(folder).as_posix()
            span = packer.append(2, {kind: member(name, content)})[kind]
            catalogue.add(name.removesuffix(suffix), span)
        packer.close()
        catalogue.seal()


def _score(run: RunFolder, ks: Sequence[int], known: dict[str, str] = {}) -> None:  # noqa: B006 - on purpose: equal predictions, equal scores
    """What nave.evaluate writes; drawing its bootstrap samples again and again would take most of a test's time."""
    texts = {results: results.predictions.read_text() for results in (run.at(k, ks) for k in ks)}
    if not set(texts.values()) <= known.keys():
        evaluate(run)
        known.update({text: results.metrics.read_text() for results, text in texts.items()})
    for results, text in texts.items():
        results.metrics.write_text(known[text])


def write_sweep(folder: Path, *, image_ids: Sequence[str] = ("one", "two")) -> Path:
    """Twelve runs: 2 trainings x 2 K x 3 sets of layers."""
    for training in ("default", "random"):
        for k in (3, 5):
            for number, layers in enumerate(([-1], [-2, -1], [-4, -3, -2, -1])):
                settings = {"training": training, "layers": layers, "model.name": "resnet18"}
                write_run(folder / f"{training}-k{k}-{number}", image_ids=image_ids, ks=(k,), overrides=settings)
    return folder
