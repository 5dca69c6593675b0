"""Finished runs in the real format, without an encoder."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf
from PIL import Image

from nave.config import register
from nave.evaluate import evaluate
from nave.overlay import indexed
from nave.photographs import keep
from nave.results import METRICS, PREDICTIONS, RUN, write_json

SIZE = (60, 80)  # height, width
CLASSES = ("cat", "dog", "train")


@cache
def resolved() -> dict[str, Any]:
    """The default configuration, composed once."""
    register()
    with initialize_config_module("nave.conf", version_base="1.3"):
        content = OmegaConf.to_container(
            compose("config", overrides=["data=folder", "data.root=nowhere"]), resolve=True
        )
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def configuration(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The default one with some keys, dotted, replaced."""
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


def line(image_id: str, number: int, k: int, size: tuple[int, int], truth: bool) -> dict[str, Any]:
    """Image 0 is hit, image 1 is missed, and so on; classes take turns."""
    found = labels(size, k, number)
    boxes = [[int(x.min()), 0, int(x.max()) + 1, size[0]] for x in (np.flatnonzero(found[0] == c) for c in range(k))]
    hit = boxes[number % k] if number % 2 == 0 else [0, 0, 4, 4]
    return {
        "image_id": image_id,
        "width": size[1],
        "height": size[0],
        "k": k,
        "clusters": k,
        "inertia": 10.0 / k,
        "map": {"balance": 0.9, "coherence": 0.95},
        "box": boxes[number % k],
        "components": [
            {"cluster": c, "area": 40, "score": 0.5 - c / 100, "box": box, "inner_box": box}
            for c, box in enumerate(boxes)
        ],
        "truth": {"boxes": [hit], "classes": [CLASSES[number % 3]], "hard": [False]} if truth else None,
    }


def write_run(
    folder: Path,
    *,
    image_ids: Sequence[str] = ("one", "two", "three"),
    ks: Sequence[int] = (3,),
    overrides: Mapping[str, Any] | None = None,
    truth: bool = True,
    photographs: bool = True,
    size: tuple[int, int] = SIZE,
    record: Mapping[str, Any] | None = None,
) -> Path:
    """A run of a folder of photographs, with its scores."""
    config = configuration({"k": list(ks)} | dict(overrides or {}))
    for k in ks:
        part = folder / f"k{k}" if len(ks) > 1 else folder
        lines = [line(image_id, number, k, size, truth) for number, image_id in enumerate(image_ids)]
        for number, image_id in enumerate(image_ids):
            path = part / "maps" / f"{image_id}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            indexed(labels(size, k, number)).save(path)
        (part / PREDICTIONS).write_text("".join(json.dumps(one) + "\n" for one in lines))
    for number, image_id in enumerate(image_ids if photographs else ()):
        pixels = np.random.default_rng(number).integers(0, 255, (*size, 3), dtype=np.uint8)
        keep(Image.fromarray(pixels), folder, image_id, 640)
    training = {"default": "imagenet1k"}.get(config["training"], config["training"])
    noted = {"status": "ok", "started": "2026-01-31T12:00:00+00:00", "training": training, "unreadable": []}
    noted |= {"model": config["model"]["name"], "images": len(image_ids), "images_per_second": 2.0}
    write_json(folder / RUN, noted | {"config": config} | dict(record or {}))
    _score(folder)
    return folder


def _score(run: Path, known: dict[str, str] = {}) -> None:  # noqa: B006 - on purpose: equal predictions, equal scores
    """What nave.evaluate writes; drawing its bootstrap samples again and again would take most of a test's time."""
    texts = {path: path.read_text() for path in [*run.glob(PREDICTIONS), *run.glob(f"k*/{PREDICTIONS}")]}
    if not set(texts.values()) <= known.keys():
        evaluate(run)
        known.update({text: (path.parent / METRICS).read_text() for path, text in texts.items()})
    for path, text in texts.items():
        (path.parent / METRICS).write_text(known[text])


def write_sweep(folder: Path, *, image_ids: Sequence[str] = ("one", "two")) -> Path:
    """Twelve runs: 2 trainings x 2 K x 3 sets of layers."""
    for training in ("default", "random"):
        for k in (3, 5):
            for number, layers in enumerate(([-1], [-2, -1], [-4, -3, -2, -1])):
                settings = {"training": training, "layers": layers, "model.name": "resnet18"}
                write_run(folder / f"{training}-k{k}-{number}", image_ids=image_ids, ks=(k,), overrides=settings)
    return folder
