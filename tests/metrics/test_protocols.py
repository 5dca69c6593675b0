"""The four figures against slow literal readings of their definitions, written without nave's arithmetic."""

import json
import os
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from nave.config import CONF
from nave.data.interface import GroundTruth
from nave.metrics.prediction import Prediction, chunks
from nave.metrics.protocols import BoxTally, score_differences

CASES = 1000
EMPTY = {"value": None, "low": None, "high": None, "images": 0}


def scores(images, *, iou=0.5, hard=True, inner=True, seed=0):
    tally = BoxTally(iou=iou, hard=hard, inner=inner)
    for some in chunks(images):
        tally.add(some)
    return tally.scores(seed=seed)


def iou(a, b):
    """Exact, of integer boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return Fraction(int(inter), int(area - inter))


def counted(images, hard):
    """Pairs of a prediction and its true boxes by image id, without images emptied by the option."""
    pairs = []
    for image in sorted(images, key=lambda image: image.image_id):
        if image.truth is None:
            continue
        kept = [box for box, is_hard in zip(image.truth.boxes, image.truth.hard, strict=True) if hard or not is_hard]
        if kept or not len(image.truth.boxes):
            pairs.append((image, kept))
    return pairs


def literal_nave(images, hard, inner):
    hits = []
    for image, objects in counted(images, hard):
        if not objects:
            continue
        best, best_full = -1, 0
        for full_box, inner_box in zip(image.boxes, image.inner_boxes, strict=True):
            for true_box in objects:
                choice = iou(inner_box if inner else full_box, true_box)
                if choice > best:
                    best, best_full = choice, iou(full_box, true_box)
        hits.append(best_full >= Fraction(1, 2))
    return hits


def literal_corloc(images, hard):
    return [
        image.box is not None and any(iou(image.box, true_box) >= Fraction(1, 2) for true_box in objects)
        for image, objects in counted(images, hard)
        if objects
    ]


def literal_coco(pairs, threshold):
    """Recall and average precision at one IoU, by COCO's greedy matching and 101 points; None: no object."""
    total = sum(len(objects) for _, objects in pairs)
    if not total:
        return None
    ranked = []
    for image, objects in pairs:
        free = list(range(len(objects)))
        order = sorted(range(len(image.boxes)), key=lambda i: -image.scores[i])[:100]
        for i in order:
            best, taken = threshold, None
            for j in free:
                if iou(image.boxes[i], objects[j]) >= best:
                    best, taken = iou(image.boxes[i], objects[j]), j
            if taken is not None:
                free.remove(taken)
            ranked.append((image.scores[i], taken is not None))
    ranked.sort(key=lambda item: -item[0])
    right, curve = 0, []
    for rank, (_, hit) in enumerate(ranked, start=1):
        right += hit
        curve.append((Fraction(right, total), Fraction(right, rank)))
    # pycocotools' own grid: in floating point its 0.28 is above 7 / 25, which an exact grid would reach
    points = [max((p for r, p in curve if float(r) >= k), default=Fraction(0)) for k in np.linspace(0, 1, 101)]
    return Fraction(right, total), sum(points) / 101


def percent(value):
    return None if value is None else round(float(100 * value), 4)


def literal_scores(images, hard, inner):
    pairs = counted(images, hard)
    nave, corloc = literal_nave(images, hard, inner), literal_corloc(images, hard)
    every = [literal_coco(pairs, Fraction(50 + 5 * step, 100)) for step in range(10)]
    known = every[0] is not None
    return {
        "nave": percent(Fraction(sum(nave), len(nave)) if nave else None),
        "corloc": percent(Fraction(sum(corloc), len(corloc)) if corloc else None),
        "ap50": percent(every[0][1] if known else None),
        "ar100": percent(sum(recall for recall, _ in every) / 10 if known else None),
    }


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr("nave.metrics.bootstrap.intervals", lambda figures, *_, **__: [(0.0, 0.0)] * len(figures))


@pytest.mark.slow
@pytest.mark.usefixtures("few_resamples")
def test_equals_the_literal_reference_on_a_thousand_cases(run):
    check(run, range(CASES))


@pytest.mark.usefixtures("few_resamples")
def test_equals_the_literal_reference(run):
    check(run, range(CASES, CASES + 60))


@pytest.mark.skipif("NAVE_DATA" not in os.environ, reason="needs the real samples")
@pytest.mark.usefixtures("few_resamples")
@pytest.mark.parametrize("name", ["voc07", "voc12", "coco", "chestxray14"])
@pytest.mark.parametrize("hard", [True, False])
def test_equals_the_literal_reference_on_real_ground_truth(name, hard):
    images = list(guesses(name, np.random.default_rng(0)))
    got = {figure: value["value"] for figure, value in scores(images, hard=hard).items()}
    assert got == literal_scores(images, hard, inner=True)
    assert all(value > 0 for value in got.values())


def guesses(name, generator):
    """A few boxes near every image's objects (in whole pixels: the reference is exact), and a few anywhere."""
    for image_id, (height, width), truth in real(name):
        near = truth.boxes[generator.integers(0, len(truth.boxes), 6)] if len(truth.boxes) else np.empty((0, 4))
        near = near + generator.integers(-20, 21, near.shape)
        anywhere = generator.integers(0, (width, height), (3, 2))
        boxes = np.concatenate([near, np.concatenate([anywhere, anywhere + 50], axis=1)])
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        inner = boxes + 5
        yield Prediction(image_id, boxes[0], boxes, inner, generator.integers(0, 50, len(boxes)) / 50, truth)


def real(name):
    dataset = instantiate(OmegaConf.load(CONF / "data" / f"{name}.yaml"))
    for index in range(len(dataset)):
        if (truth := dataset.truth(index)) is not None:
            yield dataset.image_id(index), dataset.size(index), replace(truth, boxes=np.round(truth.boxes))


def check(run, seeds):
    for seed in seeds:
        images, hard, inner = run(seed), seed % 2 == 0, seed % 3 > 0
        got = {name: figure["value"] for name, figure in scores(images, hard=hard, inner=inner).items()}
        assert got == literal_scores(images, hard, inner), f"seed {seed}"


def image(image_id, box, truth, *, hard=(), boxes=None, inner=None):
    boxes = np.array(boxes if boxes is not None else [box], np.float64)
    inner = boxes if inner is None else np.array(inner, np.float64)
    truth = np.array(truth, np.float64).reshape(-1, 4)
    known = GroundTruth(truth, ("thing",) * len(truth), tuple(hard) or (False,) * len(truth))
    return Prediction(image_id, np.array(box, np.float64), boxes, inner, np.linspace(1, 0.5, len(boxes)), known)


def test_the_inner_box_chooses_and_the_full_box_is_scored():
    truth = [[0, 0, 10, 10]]
    tail = image(
        "a",
        [0, 0, 10, 10],
        truth,
        boxes=[[0, 0, 40, 10], [0, 0, 10, 9]],
        inner=[[0, 0, 10, 10], [0, 0, 5, 5]],
    )
    # the first inner box fits, but its full box overlaps by a quarter; the second component would have hit
    assert scores([tail])["nave"]["value"] == 0
    assert scores([tail], inner=False)["nave"]["value"] == 100


def test_an_overlap_of_exactly_one_half_hits():
    half = image("a", [0, 0, 10, 5], [[0, 0, 10, 10]])
    assert {name: figure["value"] for name, figure in scores([half]).items()} == {
        "nave": 100,
        "corloc": 100,
        "ap50": 100,
        "ar100": 10,  # a match at the first of ten thresholds only
    }
    assert scores([half], iou=0.51)["corloc"]["value"] == 0


def test_hand_worked_run_of_four_images():
    images = [
        image("hit", [0, 0, 10, 10], [[0, 0, 10, 10], [50, 50, 60, 60]]),
        image("miss", [20, 20, 30, 30], [[0, 0, 10, 10]]),
        image("none", [0, 0, 10, 10], []),
        replace(image("unknown", [0, 0, 10, 10], []), truth=None),
    ]
    got = scores(images)
    assert {name: (figure["value"], figure["images"]) for name, figure in got.items()} == {
        "nave": (50, 2),
        "corloc": (50, 2),
        "ap50": (round(100 * 34 / 101, 4), 3),  # precision 1 up to a recall of 1/3
        "ar100": (round(100 / 3, 4), 3),
    }


def test_images_that_lose_all_their_boxes_are_skipped():
    images = [
        image("easy", [0, 0, 10, 10], [[0, 0, 10, 10], [0, 0, 99, 99]], hard=[False, True]),
        image("hard", [20, 20, 30, 30], [[0, 0, 10, 10]], hard=[True]),
    ]
    assert [scores(images)[name]["value"] for name in ("corloc", "ap50")] == [50, round(100 * 34 / 101, 4)]
    assert all((f["value"], f["images"]) == (100, 1) for f in scores(images, hard=False).values())


def test_no_component_is_a_miss():
    nothing = replace(image("a", [0, 0, 1, 1], [[0, 0, 9, 9]], boxes=np.empty((0, 4))), box=None)
    assert [figure["value"] for figure in scores([nothing]).values()] == [0, 0, 0, 0]


def test_nothing_to_score_is_none_not_zero():
    assert scores([]) == dict.fromkeys(("nave", "corloc", "ap50", "ar100"), EMPTY)
    empty = scores([image("a", [0, 0, 1, 1], [])])
    assert empty["corloc"] == EMPTY
    assert empty["ap50"] == {**EMPTY, "images": 1}


def test_order_of_images_does_not_change_a_byte(run):
    images = run(4) + [replace(image, image_id="b" + image.image_id) for image in run(5)]
    assert json.dumps(scores(images)) == json.dumps(scores(images[::-1]))


def test_intervals_hold_the_value_and_depend_on_the_seed(run):
    images = [replace(image, image_id=f"{seed}/{image.image_id}") for seed in range(12) for image in run(seed)]
    first, second = scores(images), scores(images, seed=1)
    for name, figure in first.items():
        assert 0 <= figure["low"] < figure["value"] < figure["high"] <= 100
        assert figure["value"] == second[name]["value"]
    assert first != second


def test_duplicate_ids_are_refused():
    with pytest.raises(ValueError, match="1 image ids occur more than once, the first is 'a'"):
        scores([image("a", [0, 0, 1, 1], [])] * 2)


@pytest.mark.parametrize("wrong", [0.0, -0.5, 1.1, 50.0])
def test_an_overlap_that_is_none_is_refused(wrong):
    with pytest.raises(ValueError, match="is not an overlap"):
        scores([], iou=wrong)


def test_differences_are_those_of_the_scores_and_of_a_run_with_itself_none(run):
    ours = sorted(run(3), key=lambda image: image.image_id)
    theirs = [replace(image, boxes=image.boxes[::-1], box=None) for image in ours]
    options = {"iou": 0.5, "hard": True, "inner": True}
    found = score_differences(ours, theirs, **options)
    for name, figure in found.items():
        own = [scores(images)[name]["value"] for images in (ours, theirs)]
        assert figure["value"] == pytest.approx(own[0] - own[1], abs=1e-3)
    assert {figure["value"] for figure in score_differences(ours, ours, **options).values()} == {0}


def test_a_hit_whose_component_shows_no_object_is_an_accident():
    box, truth = [0, 0, 10, 10], {"boxes": [[0, 0, 10, 11]], "classes": ["cat"], "hard": [False]}
    parts = [{"box": [20, 20, 30, 30], "object": 1.0}, {"box": box}]
    lines = []
    for number, share in enumerate((0.9, 0.2, None)):
        own = parts[1] | ({} if share is None else {"object": share})
        components = [dict(part, inner_box=part["box"], score=0.5) for part in (parts[0], own)]
        lines.append({"image_id": str(number), "box": box, "components": components, "truth": truth})
    found = scores(map(Prediction.from_line, lines))["nave_on_object"]
    assert (found["value"], found["images"]) == (50, 2)  # of the third, no pixel is annotated
    for line in lines:
        for component in line["components"]:
            component.pop("object", None)
    assert "nave_on_object" not in scores(map(Prediction.from_line, lines))


def test_scores_are_the_same_whatever_the_number_of_images_at_a_time(run):
    images = run(3)
    tally = BoxTally(iou=0.5, hard=False, inner=True)
    for image in images:
        tally.add([image])
    assert tally.scores(seed=2) == scores(images, hard=False, seed=2)
    with pytest.raises(ValueError, match="2 image ids occur more than once, the first is 'a'"):
        scores([replace(images[0], image_id=name) for name in "bcabaa"])
