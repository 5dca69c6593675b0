"""Class-agnostic COCO AP and AR by torchmetrics."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

from nave.metrics.average_precision import IOUS, MAX_BOXES, RECALLS
from nave.metrics.prediction import Prediction, truth_of


def average_precision(images: Sequence[Prediction]) -> dict[str, float]:
    """Computes ``ap50`` and ``ar100`` in percent; at least one image must contain an object.

    The thresholds are given in float64, as in pycocotools: torchmetrics' default ones come from float32, where a recall
    of exactly 0.1 misses the grid point 0.1. Its summary is float32 too, hence the extended one.
    """
    metric = MeanAveragePrecision(
        iou_thresholds=IOUS.tolist(),
        rec_thresholds=RECALLS.tolist(),
        max_detection_thresholds=[1, 10, MAX_BOXES],
        extended_summary=True,
    )
    metric.warn_on_many_detections = False  # the protocol drops boxes beyond 100
    metric.update([_predicted(image) for image in images], [_in_one_class(truth_of(image).boxes) for image in images])
    result = metric.compute()
    # axes: IoU, (recall,) class, object size (0: all), number of boxes (-1: 100)
    ap50, ar100 = result["precision"][0, :, 0, 0, -1].mean(), result["recall"][:, 0, 0, -1].mean()
    return {"ap50": 100 * ap50.item(), "ar100": 100 * ar100.item()}


def _predicted(image: Prediction) -> dict[str, Tensor]:
    return {**_in_one_class(image.boxes), "scores": torch.from_numpy(np.array(image.scores, np.float64))}


def _in_one_class(boxes: Float[np.ndarray, "n 4"]) -> dict[str, Tensor]:
    # a copy, because torch does not accept negative strides
    return {
        "boxes": torch.from_numpy(np.array(boxes, np.float64)),
        "labels": torch.zeros(len(boxes), dtype=torch.int64),
    }
