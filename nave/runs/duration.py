"""How long images that are larger than usual will take, said before the work begins."""

import logging
import time

import numpy as np
import torch

from nave.data.batch import load_batch
from nave.data.datamodule import ImageModule, size_or_none
from nave.data.input_size import InputSize
from nave.encoder.encoder import Encoder

log = logging.getLogger(__name__)
LARGE = 1_500_000  # pixels of an input: more than a chest X-ray has, fewer than 1600 x 1200
LOOKED_AT = 2  # the first images: photographs of one folder are alike, and headers on a network disk take time
TRIED = (336, 672)  # longer sides at which the encoder is timed


def announce_large_images(encoder: Encoder, images: ImageModule, device: torch.device) -> None:
    """Logs how many of the first images are large, and about how long one takes on ``device``."""
    large = _large(images)
    if not large:
        return
    index, (height, width) = max(large.items(), key=lambda one: one[1][0] * one[1][1])
    minutes = seconds_an_image(encoder, images, index, device) / 60
    took = f"{60 * minutes:.0f} seconds" if minutes < 1 else f"{minutes:.0f} minutes"
    log.warning(
        "%s is explained at %d x %d pixels, about %s an image on %s; longer_side=640 explains it at that size, "
        "with a map at its own",
        *(images.dataset.image_id(index), width, height, took, device),
    )


def _large(images: ImageModule) -> dict[int, tuple[int, int]]:
    """The (height, width) at which images to come are explained, by position, of those that are large."""
    own = {index: size_or_none(images.dataset, index) for index in images.left[:LOOKED_AT]}
    sizes = {index: images.input_size(size) for index, size in own.items() if size is not None}
    return {index: size for index, size in sizes.items() if size[0] * size[1] > LARGE}


def seconds_an_image(encoder: Encoder, images: ImageModule, index: int, device: torch.device) -> float:
    """The encoder's time for one image, from two small sizes: a share grows with the pixels, one with their square."""
    encoder.to(device)
    tried = (load_batch(images.dataset, [index], InputSize(None, side)).images for side in TRIED)
    timed = [_timed(encoder, batch, device) for batch in tried]
    pixels, seconds = np.array(timed).T
    square = max(0.0, float(np.diff(seconds / pixels)[0] / np.diff(pixels)[0]))
    linear = max(0.0, float(seconds[-1] / pixels[-1] - square * pixels[-1]))
    height, width = images.input_size(images.dataset.size(index))
    return linear * height * width + square * (height * width) ** 2


@torch.inference_mode()
def _timed(encoder: Encoder, batch: torch.Tensor, device: torch.device) -> tuple[float, float]:
    """Pixels and seconds of an image; its second pass, since the first one also prepares."""
    batch = batch.to(device)
    for _ in range(2):
        start = time.perf_counter()
        encoder(batch).last.sum().item()  # waits for a GPU
    return float(batch.shape[2] * batch.shape[3]), time.perf_counter() - start
