"""AP and AR against pycocotools, torchmetrics and faster-coco-eval; resamples against repeated images."""

import contextlib
import io
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from nave.data.interface import GroundTruth
from nave.metrics.average_precision import matches, ranking
from nave.metrics.prediction import Prediction, with_objects, with_truth
from tests.helpers import torchmetrics_reference


def rows(images, boxes, extra):
    corners = [(n, box, e) for n, i in enumerate(images) for box, e in zip(boxes(i), extra(i), strict=True)]
    return [(n, [*box[:2], box[2] - box[0], box[3] - box[1]], e) for n, box, e in corners]


def coco(kind, images, rows):
    data = kind()
    annotations = [
        {
            "id": i,
            "image_id": n,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": box,
            "area": box[2] * box[3],
            **extra,
        }
        for i, (n, box, extra) in enumerate(rows, start=1)
    ]
    data.dataset = {"images": [{"id": n} for n in range(images)], "categories": [{"id": 1}]}
    data.dataset["annotations"] = annotations
    data.createIndex()
    return data


def evaluated(images, kind=COCO, evaluator=COCOeval):
    """AP50 and AR@100 as the tool itself prints them, with its default parameters."""
    true = rows(images, lambda i: i.truth.boxes.tolist(), lambda i: [{}] * len(i.truth.boxes))
    predicted = rows(images, lambda i: i.boxes.tolist(), lambda i: [{"score": s} for s in i.scores.tolist()])
    with contextlib.redirect_stdout(io.StringIO()):
        run = evaluator(coco(kind, len(images), true), coco(kind, len(images), predicted), "bbox")
        run.evaluate()
        run.accumulate()
        run.summarize()
    return {"ap50": 100 * run.stats[1], "ar100": 100 * run.stats[8]}


def ours(images, counts=None):
    ranked = ranking([matches(images)], np.arange(len(images)))
    counts = np.ones(len(images), np.int64) if counts is None else counts
    return {"ap50": ranked.average_precision(counts), "ar100": ranked.average_recall(counts)}


def cases(run, seeds):
    for seed in seeds:
        images = with_truth(run(seed))
        if with_objects(images):
            yield images


def check(run, seeds):
    for images in cases(run, seeds):
        expected = pytest.approx(evaluated(images), abs=1e-9)
        assert torchmetrics_reference.average_precision(images) == expected
        assert ours(images) == expected


@pytest.mark.slow
def test_equals_pycocotools_on_a_thousand_cases(run):
    check(run, range(2000, 3000))


def test_equals_pycocotools(run):
    check(run, range(3000, 3060))


def test_equals_faster_coco_eval(run):
    faster = pytest.importorskip("faster_coco_eval")
    for images in cases(run, range(40)):
        expected = evaluated(images, faster.COCO, faster.COCOeval_faster)
        assert ours(images) == pytest.approx(expected, abs=1e-9)


def test_a_resample_is_the_images_repeated(run):
    generator = np.random.default_rng(0)
    for tied in cases(run, range(60)):
        # the copies of an image whose boxes tie would interleave: no order of equal scores is the right one
        images = [replace(image, scores=image.scores - 1e-6 * np.arange(len(image.scores))) for image in tied]
        counts = generator.multinomial(len(images), np.full(len(images), 1 / len(images)))
        repeated = [image for image, count in zip(images, counts, strict=True) for _ in range(count)]
        got = ours(images, counts)
        if with_objects(repeated):
            assert got == pytest.approx(evaluated(repeated), abs=1e-9)
        else:
            assert np.isnan(list(got.values())).all()


def test_only_the_hundred_best_boxes_count():
    true = np.array([[0.0, 0, 10, 10]])
    boxes = np.concatenate([np.repeat(true + 50, 100, axis=0), true])
    known = GroundTruth(true, ("cat",), (False,))
    late = Prediction("a", None, boxes, boxes, np.linspace(1, 0, 101), known)
    assert torchmetrics_reference.average_precision([late]) == {"ap50": 0, "ar100": 0}
    assert ours([late]) == {"ap50": 0, "ar100": 0}
    early = replace(late, scores=late.scores[::-1])
    assert torchmetrics_reference.average_precision([early]) == pytest.approx({"ap50": 100, "ar100": 100})
    assert ours([early]) == {"ap50": 100, "ar100": 100}


def test_a_recall_of_exactly_a_tenth_reaches_the_grid_point_of_a_tenth():
    true = np.array([[20.0 * i, 0, 20 * i + 10, 10] for i in range(10)])
    known = GroundTruth(true, ("cat",) * 10, (False,) * 10)
    image = Prediction("a", None, true[:1], true[:1], np.ones(1), known)
    assert torchmetrics_reference.average_precision([image])["ap50"] == pytest.approx(100 * 11 / 101)
    assert ours([image])["ap50"] == pytest.approx(100 * 11 / 101)
