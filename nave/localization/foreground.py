"""The foreground head: what the tokens of objects look like to an encoder, learnt without a label; with its card."""

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
import safetensors
import safetensors.numpy
import scipy.optimize
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int8
from torch import Tensor
from torch.nn import functional

from nave.localization.switch import CHOICES
from nave.runs.files import write_bytes
from nave.strict_json import checked, from_json

NORM = 4.0  # length to which tokens are scaled
PENALTY = 1e-2  # weight of half the squared norm of the coefficients
SIDES = (0.1, 1e5)  # between them lies the side of a token in pixels
STEP = 1 / 16  # of the logits that are kept, in 8 bits: -8 to 7.94, and tanh is flat there
WEIGHTS, CARD = "weights", "card"  # names in the file


class Card(TypedDict):
    """What a head belongs to, and the ids of the images that taught it, by fold; ``seed`` made random weights."""

    model: str
    architecture: str
    weights_sha256: str | None
    layer: str
    seed: NotRequired[int]
    images: list[list[str]]
    pixels_sha256: str


class ForegroundLine(TypedDict):
    """The logits of one image in predictions.jsonl: 8 bits a token in raster order, base64; ``patch`` in pixels."""

    shape: list[int]
    patch: list[float]
    logits: str


@dataclass(frozen=True, eq=False)
class Foreground:
    """The head's logits of one image, in steps of ``STEP``.

    Args:
        steps: one number a token.
        patch: (height, width) of a token in pixels of the image, as the encoder receives it.
    """

    steps: Int8[np.ndarray, "h w"]
    patch: tuple[float, float]

    @property
    def logits(self) -> Float64[np.ndarray, "h w"]:
        """The logits."""
        return self.steps * STEP

    def to_line(self) -> ForegroundLine:
        """What predictions.jsonl holds."""
        content = base64.b64encode(self.steps.tobytes()).decode()
        return ForegroundLine(shape=list(self.steps.shape), patch=list(self.patch), logits=content)

    @classmethod
    def from_line(cls, line: ForegroundLine) -> "Foreground":
        """Reads what :meth:`to_line` has written.

        Raises:
            ValueError: for what it cannot have written.
        """
        shape, patch, content = line["shape"], line["patch"], base64.b64decode(line["logits"], validate=True)
        if len(shape) != 2 or min(shape) < 1 or math.prod(shape) != len(content):
            raise ValueError(f"{len(content)} logits are no grid of {shape}")
        if len(patch) != 2 or not all(SIDES[0] <= side <= SIDES[1] for side in patch):
            raise ValueError(f"{patch} is no size of a token in pixels")
        return cls(np.frombuffer(content, np.int8).reshape(shape), (patch[0], patch[1]))


@dataclass(frozen=True, eq=False)
class Head:
    """A logistic regression on the l2-normalised tokens of a layer, fitted once on every fold of its images.

    An image is judged by the heads of the folds that it did not teach: the mean of their logits.

    Args:
        weights: coefficients and intercept, one row a fold.
        card: what it belongs to.
    """

    weights: Float32[np.ndarray, "folds D"]
    card: Card

    @property
    def sha256(self) -> str:
        """Hash of the file's content."""
        return hashlib.sha256(self._bytes()).hexdigest()

    def coefficients(self, image_id: str) -> Float64[np.ndarray, " D"]:
        """Returns the coefficients and the intercept for one image."""
        others = [image_id not in fold for fold in self.card["images"]]
        mean: Float64[np.ndarray, " D"] = self.weights[others].mean(axis=0, dtype=np.float64)
        return mean

    def __call__(self, tokens: Float[Tensor, "C h w"], image_id: str) -> Int8[Tensor, "h w"]:
        """Judges the tokens of one image, on their device.

        Returns:
            Its logits in steps of ``STEP``.

        Raises:
            ValueError: for tokens of another length than those that taught it.
        """
        if (channels := self.weights.shape[1] - 1) != len(tokens):
            raise ValueError(
                f"the foreground head judges tokens of {channels} channels, and these have {len(tokens)}: it belongs "
                f"to another encoder, or its file is damaged; choose {CHOICES}"
            )
        coefficients = torch.as_tensor(self.coefficients(image_id), dtype=torch.float32, device=tokens.device)
        logits = torch.einsum("chw,c->hw", normalised(tokens), coefficients[:-1]) + coefficients[-1]
        return (logits / STEP).round().clamp(-128, 127).to(torch.int8)

    def check(self, card: Card, source: object) -> "Head":
        """Returns the head itself.

        Raises:
            ValueError: if it belongs to another encoder than ``card``.
        """
        for key in ("architecture", "weights_sha256", "layer", "seed"):
            its, asked = self.card.get(key), card.get(key)
            if its != asked:
                raise ValueError(
                    f"foreground={source} belongs to another encoder: its {key} is {its!r}, this one's {asked!r}. "
                    f"Give the head of this one, or choose another of {CHOICES}"
                )
        return self

    def save(self, path: Path) -> None:
        """Writes the file: safetensors, the card as JSON in its metadata."""
        write_bytes(path, self._bytes())

    @classmethod
    def read(cls, path: Path) -> "Head":
        """Reads what :meth:`save` has written.

        Raises:
            ValueError: if the file is missing, or no head.
        """
        try:
            with safetensors.safe_open(path, "np") as file:
                card: Card = checked(from_json(file.metadata()[CARD], CARD), Card, CARD, "it was not written by nave")
                return cls(_sound(file.get_tensor(WEIGHTS), card["images"]), card)
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"foreground={path} is no foreground head ({error}): choose {CHOICES}") from error

    def _bytes(self) -> bytes:
        content: bytes = safetensors.numpy.save({WEIGHTS: self.weights}, {CARD: json.dumps(self.card, sort_keys=True)})
        return content


def normalised(tokens: Float[Tensor, "C h w"]) -> Float[Tensor, "C h w"]:
    """Scales tokens to the length ``NORM``."""
    return NORM * functional.normalize(tokens.float(), dim=0)


def fit(
    tokens: Sequence[Float32[np.ndarray, "_ C"]], inside: Sequence[Bool[np.ndarray, " _"]]
) -> Float64[np.ndarray, " D"]:
    """Fits the regression by L-BFGS in float64; foreground and background count equally in every image.

    Args:
        tokens: normalised tokens of every image.
        inside: which of them are foreground; an image with one side alone does not count.
    """
    both = [i for i, image in enumerate(inside) if image.any() and not image.all()]
    channels = tokens[0].shape[1]
    if not both:
        return np.zeros(channels + 1)
    inputs = np.concatenate([tokens[i] for i in both]).astype(np.float64)
    signs = np.concatenate([np.where(inside[i], 1.0, -1.0) for i in both])
    shares = np.concatenate([np.where(inside[i], 0.5 / inside[i].sum(), 0.5 / (~inside[i]).sum()) for i in both])
    shares /= len(both)

    def loss(point: Float64[np.ndarray, " D"]) -> tuple[float, Float64[np.ndarray, " D"]]:
        margins = signs * (inputs @ point[:-1] + point[-1])
        slopes = -shares * signs * scipy.special.expit(-margins)
        value = shares @ np.logaddexp(0, -margins) + PENALTY / 2 * point[:-1] @ point[:-1]
        return value, np.append(slopes @ inputs + PENALTY * point[:-1], slopes.sum())

    found = scipy.optimize.minimize(loss, np.zeros(channels + 1), jac=True, method="L-BFGS-B")
    weights: Float64[np.ndarray, " D"] = found.x
    return weights


def _sound(weights: np.ndarray, folds: Sequence[Sequence[str]]) -> Float32[np.ndarray, "folds D"]:
    """Returns the weights themselves; raises ValueError if they cannot judge every image."""
    if weights.dtype != np.float32 or weights.ndim != 2 or len(weights) != len(folds) or weights.shape[1] < 2:
        raise ValueError(f"weights are {weights.dtype} of shape {weights.shape} for {len(folds)} folds")
    if len(weights) < 2 or set.intersection(*map(set, folds)):
        raise ValueError("an image that taught every fold is judged by none")
    if not np.isfinite(weights).all():
        raise ValueError("weights are not finite")
    return weights


def card_of(record: Mapping[str, object], seed: int | None = None) -> Card:
    """The card of a head, not yet learnt, for the encoder of a run's record; ``seed`` made random weights."""
    layers = record["layers"]
    assert isinstance(layers, list)
    card = Card(
        model=str(record["model"]),
        architecture=str(record["architecture"]),
        weights_sha256=None if record["weights_sha256"] is None else str(record["weights_sha256"]),
        layer=layers[-1],
        images=[],
        pixels_sha256="",
    )
    return card if seed is None else Card(**{**card, "seed": seed})
