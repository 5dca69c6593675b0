"""From Python: ``explainer = nave.load("vits14")``, then ``explainer(images, k=5)``; ``nave.explain`` for one call."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import timm
import torch
from jaxtyping import Float, UInt8
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import Tensor, nn

from nave.build import build_explainer, instantiate
from nave.config import CONF, composed, numbers_of_clusters
from nave.data.batch import Batch
from nave.data.datamodule import ImageModule
from nave.data.pixels import InMemory, Pixels
from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations
from nave.encoder.module import module_encoder
from nave.localization.foreground import card_of
from nave.localization.switch import OFF
from nave.module import Explanation
from nave.runs.finishing import at_original_size, line_of
from nave.runs.head import given
from nave.runs.prediction import Line
from nave.runs.provenance import of_encoder
from nave.viz.overlay import overlay
from nave.viz.palette import align, colours

Images = Sequence[Image.Image | Pixels] | Image.Image | Pixels | Tensor
NEEDED, FURTHER = ("layers", "mean", "std"), ("image_size", "stride", "prefix_tokens")  # of a module
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
        return torch.tensor([line["box"] for line in self.lines], dtype=torch.float32)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """What ``predictions.jsonl`` would hold: components with boxes, inner boxes and scores."""
        return tuple(line_of(explanation, None) for explanation in self.explanations)

    def overlay(self, index: int = 0) -> Image.Image:
        """One photograph with its clusters and its box."""
        return overlay(self.photographs[index], self.maps[index], self.lines[index]["box"])


class LoadedExplainer:
    """A network with all that turns images into explanations; made by :func:`load`, called as often as one likes."""

    def __init__(self, cfg: DictConfig, device: str | None = None, encoder: Encoder | None = None) -> None:
        self._cfg, self._explainer = cfg, build_explainer(cfg, encoder)
        if (option := self._explainer.localization.foreground) != OFF:
            self._explainer.foreground = given(option, card_of(of_encoder(self._explainer.encoder)))
        self._explainer.to(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @property
    def layers(self) -> list[str]:
        """The modules that are read."""
        return self._explainer.encoder.layers

    def activations(self, images: Images) -> list[Activations]:
        """What the layers give for every image, on their grids."""
        with torch.inference_mode():
            return [self._explainer.encoder(batch.images) for batch in self._batches(InMemory(images))]

    def __call__(self, images: Images, k: int | str | None = None) -> Result:
        """Explains images that are in memory.

        Args:
            images: one or more PIL images, arrays ``(H, W[, 3])``, or a tensor ``(B, 3, H, W)``.
            k: the number of clusters, or ``auto``; that of :func:`load` if there is none.

        Raises:
            ValueError: for images or a K that cannot be.
        """
        explainer, dataset = self._explainer, InMemory(images)
        explainer.ks = explainer.localization.ks(numbers_of_clusters(self._cfg.k if k is None else k))
        if len(explainer.ks) > 1:
            raise ValueError(f"k={k}: one number of clusters at a time")
        explanations = [one for batch in self._batches(dataset) for one in explainer.explain(batch)]
        return Result(tuple(dataset.image(index) for index in range(len(dataset))), tuple(explanations))

    def _batches(self, dataset: InMemory) -> Iterator[Batch]:
        loader: ImageModule = instantiate(self._cfg.loader, dataset=dataset)
        for batch in loader.predict_dataloader():
            yield batch.to(self._explainer.device)


def load(model: str | nn.Module = "vits14", *, device: str | None = None, **options: Any) -> LoadedExplainer:
    """A network, ready to explain images, with the defaults of ``python -m nave.run``.

    Args:
        model: a file of ``conf/model``, a network of timm (``resnet50.a1_in1k``), or any module, which is used as it
            is: put into eval mode for each call and back, never copied; see :func:`module_encoder` for its options
            ``layers``, ``mean``, ``std``, ``image_size``, ``stride`` and ``prefix_tokens``.
        device: where to compute; a GPU if there is one; of a module, where it is.
        options: any other key of ``conf/config.yaml``: ``k``, ``training``, ``weights``, ``layers``, ``image_size``,
            ``longer_side`` (640, say: a phone's photographs take minutes at their own size), ``seed``; the groups
            ``composite``, ``clustering``, ``localization`` by the name of a choice; and keys of
            groups with their dots, as in ``**{"composite.resolution": "grid"}``.

    Raises:
        ValueError: for options that cannot be.
    """
    if isinstance(model, nn.Module):
        return _load_module(model, device, options)
    if not (CONF / "model" / f"{model}.yaml").is_file() and timm.is_model(model.partition(".")[0]):
        options, model = {"architecture": model} | options, "timm"
    return LoadedExplainer(configuration({"model": model} | options), device)


def _load_module(module: nn.Module, device: str | None, options: Mapping[str, Any]) -> LoadedExplainer:
    needed, further = ({key: options.get(key) for key in keys} for keys in (NEEDED, FURTHER))
    if foreign := {"training", "weights", "architecture"} & options.keys():
        raise ValueError(f"{', '.join(sorted(foreign))}: a module brings its own weights; leave that out")
    encoder = module_encoder(module, **needed, **further)
    cfg = configuration({key: value for key, value in options.items() if key not in (*NEEDED, *FURTHER[1:])})
    cfg.layers = encoder.layers
    parameter = next(module.parameters(), None)
    return LoadedExplainer(cfg, device or (None if parameter is None else str(parameter.device)), encoder)


def explain(
    images: Images, *, model: str | nn.Module = "vits14", k: int | str = 5, device: str | None = None, **options: Any
) -> Result:
    """Explains images that are in memory, once: ``load(model, **options)(images, k)``."""
    return load(model, device=device, **options)(images, k)


def coloured(maps: Sequence[UInt8[np.ndarray, "H W"]]) -> list[UInt8[np.ndarray, "H W 3"]]:
    """Colours several maps of one image; clusters of different maps that overlap most share a colour.

    Raises:
        ValueError: If the maps differ in size.
    """
    return [colours(256)[np.array(index)][labels] for labels, index in zip(maps, align(maps), strict=True)]


def configuration(options: Mapping[str, Any]) -> DictConfig:
    """The default configuration with some keys replaced; groups are chosen by their files' names.

    Raises:
        ValueError: for a key that does not exist or a value of the wrong type.
    """
    cfg = composed([f"{group}={options[group]}" for group in GROUPS if group in options])
    for key, value in options.items():
        if key not in GROUPS:
            OmegaConf.update(cfg, key, value)
    return cfg
