"""From Python: ``explain(images, model="vits14", k=5)``."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_module
from jaxtyping import Float, UInt8
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor

from nave.data.memory import Images, InMemory
from nave.data.module import ImageModule
from nave.module import Explanation
from nave.overlay import overlay
from nave.records import record
from nave.run import build
from nave.writer import at_original_size

GROUPS = ("model", "composite", "clustering", "localization")


@dataclass(frozen=True, eq=False)
class Result:
    """Explanations of some images, in their order; maps and boxes are in the images' own pixels."""

    photographs: tuple[Image.Image, ...]
    explanations: tuple[Explanation, ...]

    def __len__(self) -> int:
        return len(self.explanations)

    @cached_property
    def maps(self) -> tuple[UInt8[np.ndarray, "H W"], ...]:
        """The map of every image, each of its own size; ids by decreasing number of pixels."""
        return tuple(at_original_size(explanation) for explanation in self.explanations)

    @property
    def labels(self) -> UInt8[Tensor, "B H W"]:
        """All maps in one tensor.

        Raises:
            ValueError: if the images differ in size; :attr:`maps` has them one by one.
        """
        if len({labels.shape for labels in self.maps}) > 1:
            raise ValueError("the images differ in size, so their labels are no tensor: take result.maps")
        return torch.from_numpy(np.stack(self.maps))

    @property
    def centroids(self) -> Float[Tensor, "B K D"]:
        """Of the composite, every image's own.

        Raises:
            ValueError: if the images differ in their number of clusters; ``result.explanations`` has them one by one.
        """
        if len({len(explanation.centroids) for explanation in self.explanations}) > 1:
            raise ValueError("the images differ in their number of clusters: take result.explanations[i].centroids")
        return torch.from_numpy(np.stack([explanation.centroids for explanation in self.explanations]))

    @property
    def boxes(self) -> Float[Tensor, "B 4"]:
        """The one box of every image, xyxy, half-open."""
        return torch.tensor([line["box"] for line in self.records], dtype=torch.float32)

    @cached_property
    def records(self) -> tuple[dict[str, Any], ...]:
        """What ``predictions.jsonl`` would hold: components with boxes, inner boxes and scores."""
        return tuple(record(explanation, None) for explanation in self.explanations)

    def overlay(self, index: int = 0) -> Image.Image:
        """One photograph with its clusters and its box."""
        return overlay(self.photographs[index], self.maps[index], self.records[index]["box"])


def explain(
    images: Images, *, model: str = "vits14", k: int | str = 5, device: str | None = None, **options: Any
) -> Result:
    """Explains images that are in memory, with the defaults of ``python -m nave.run``.

    Args:
        images: one or more PIL images, arrays ``(H, W[, 3])``, or a tensor ``(B, 3, H, W)``.
        model: a file of ``conf/model``.
        k: the number of clusters, or ``auto``.
        device: where to compute; a GPU if there is one.
        options: any other key of ``conf/config.yaml``: ``training``, ``weights``, ``layers``, ``resolution``,
            ``normalisation``, ``image_size``, ``seed``, and the groups ``composite``, ``clustering``, ``localization``.

    Raises:
        ValueError: for images or options that cannot be.
    """
    dataset = InMemory(images)
    cfg = configuration({"model": model, "k": k} | options)
    explainer = build(cfg).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    loader = ImageModule(dataset, image_size=cfg.image_size).predict_dataloader()
    explanations = [found for batch in loader for found in explainer.predict_step(batch.to(explainer.device))]
    return Result(tuple(dataset.image(index) for index in range(len(dataset))), tuple(explanations))


def configuration(options: Mapping[str, Any]) -> DictConfig:
    """The default configuration with some keys replaced; groups are chosen by their files' names.

    Raises:
        ValueError: for a key that does not exist or a value of the wrong type.
    """
    groups = [f"{group}={options[group]}" for group in GROUPS if group in options]
    with initialize_config_module("nave.conf", version_base="1.3"):
        cfg = compose("config", overrides=groups)
    for key, value in options.items():
        if key not in GROUPS:
            OmegaConf.update(cfg, key, value)
    return cfg
