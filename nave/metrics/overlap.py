"""Overlap of boxes, image by image."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.ops import box_iou

AT_ONCE = 256  # images; a call for each would cost twenty times its arithmetic


def overlaps(
    boxes: Sequence[Float[np.ndarray, "_ 4"]], others: Sequence[Float[np.ndarray, "_ 4"]]
) -> list[Float64[np.ndarray, "P M"]]:
    """Intersection over union (P, M) of each image's boxes (P, 4) with its others (M, 4), xyxy, half-open.

    In float64, so that boxes with integer corners meet a threshold such as 0.5 exactly. Two boxes without
    area overlap by 0.
    """
    found: list[Float64[np.ndarray, "P M"]] = []
    for start in range(0, len(boxes), AT_ONCE):
        few, few_others = boxes[start : start + AT_ONCE], others[start : start + AT_ONCE]
        iou = torch.vmap(box_iou)(_padded(few), _padded(few_others)).nan_to_num_().numpy()
        found += [one[: len(mine), : len(theirs)] for one, mine, theirs in zip(iou, few, few_others, strict=True)]
    return found


def _padded(boxes: Sequence[Float[np.ndarray, "_ 4"]]) -> Float64[Tensor, "N most 4"]:
    return pad_sequence([torch.from_numpy(np.array(one, np.float64)) for one in boxes], batch_first=True)
