"""The tables of the study: every figure of the one box with its interval, and differences image by image."""

from collections.abc import Callable, Mapping

import numpy as np

from experiments.one_box import failures, ingredients
from experiments.study import Line
from nave.comparison.rows import PerImage, difference
from nave.comparison.scores import box_differences
from nave.localization.objectness import Objectness
from nave.metrics.bootstrap import Score, proportion
from nave.runs.reader import RunAtK

NAVE, HEAD, WHOLE = "NAVE", "NAVE with head", "whole image"
HIT, NEAR = 0.5, 0.4  # overlaps
POOLED, MEAN = "all images", "mean of the sets"
Found = dict[tuple[str, str], dict[str, RunAtK]]  # by encoder and method, then by data set
ByData = Mapping[str, PerImage]
Overlaps = Mapping[str, float | None]


def encoders(found: Found) -> list[str]:
    """The names of the encoders."""
    return list(dict.fromkeys(encoder for encoder, _ in found))


def pooled(by_data: ByData) -> dict[str, PerImage]:
    """Adds all images together to those of every data set."""
    every = {f"{data} {image_id}": value for data, values in by_data.items() for image_id, value in values.items()}
    return {**by_data, POOLED: every}


def hits(by_data: Mapping[str, Overlaps]) -> dict[str, PerImage]:
    """Whether the box of each image hits an object, by data set and pooled; of the images with objects."""
    return pooled(
        {data: {i: float(o >= HIT) for i, o in each.items() if o is not None} for data, each in by_data.items()}
    )


def own_hits(runs: Mapping[str, RunAtK]) -> dict[str, PerImage]:
    """The hits of the boxes that runs have chosen."""
    return hits({data: run.overlaps for data, run in runs.items()})


def shares(condition: str, by_data: ByData) -> Line:
    """Shares of images with Wilson's intervals, and the mean over data sets."""
    return _line(condition, {data: proportion(np.array(list(each.values())) == 1) for data, each in by_data.items()})


def paired(condition: str, ours: ByData, theirs: ByData) -> Line:
    """Ours minus theirs, image by image."""
    return _line(condition, {data: difference(ours[data], theirs[data]) for data in ours})


def _line(condition: str, scores: dict[str, Score]) -> Line:
    if len(scores) == 2:  # one set, which is all images
        scores.pop(POOLED)
        return _of_scores(condition, {f"{data} ({each['images']})": each for data, each in scores.items()})
    single = [score["value"] for data, score in scores.items() if data != POOLED and score["value"] is not None]
    mean = Score(value=sum(single) / len(single), low=None, high=None, images=scores[POOLED]["images"])
    return _of_scores(condition, {f"{data} ({each['images']})": each for data, each in scores.items()} | {MEAN: mean})


def _of_scores(condition: str, scores: Mapping[str, Score]) -> Line:
    return Line(condition, scores, {heading: [] for heading in scores})


def corloc(found: Found) -> tuple[list[Line], list[Line]]:
    """CorLoc of every method under every encoder; the gains of NAVE, and those of its head, over every other."""
    hit = {key: own_hits(runs) for key, runs in found.items()}
    (whole,) = (each for (_, method), each in hit.items() if method == WHOLE)
    methods = list(dict.fromkeys(method for _, method in found))
    gains = [
        paired(f"{encoder}: {ours} minus {other}", hit[encoder, ours], hit.get((encoder, other), whole))
        for encoder in encoders(found)
        for ours in (NAVE, HEAD)
        for other in methods
        if other != ours and (ours, other) != (NAVE, HEAD)
    ]
    return [shares(f"{encoder}: {method}", each) for (encoder, method), each in hit.items()], gains


def by_method(found: Found) -> list[Line]:
    """CorLoc on all images: a line a method, a heading an encoder."""
    hit = {key: proportion(np.array(list(own_hits(runs)[POOLED].values())) == 1) for key, runs in found.items()}
    (whole,) = (each for (_, method), each in hit.items() if method == WHOLE)
    return [
        _of_scores(method, {name.replace(" ", "\n"): hit.get((name, method), whole) for name in encoders(found)})
        for method in dict.fromkeys(method for _, method in found)
    ]


def protocols(found: Found) -> list[Line]:
    """What the head adds to CorLoc, AP50 and AR@100, image by image."""
    return [
        _of_scores(f"{encoder}, {data} ({gains['ap50']['images']})", {name: gains[name] for name in RANKED})
        for encoder in encoders(found)
        for data, run in found[encoder, HEAD].items()
        for gains in [box_differences(run, found[encoder, NAVE][data])]
    ]


RANKED = ("corloc", "ap50", "ar100")


def ablation(found: Found) -> list[Line]:
    """One line an ingredient of the head: CorLoc, then the gain over today's rule."""
    lines = []
    for encoder in encoders(found):
        rule, head = found[encoder, NAVE], found[encoder, HEAD]
        before = own_hits(rule)
        lines.append(shares(f"{encoder}: today's rule", before))
        for name, candidates, by_head in ingredients.INGREDIENTS:
            chosen = hits({data: _again(run, rule[data], candidates, by_head) for data, run in head.items()})
            lines += [shares(f"{encoder}: {name}", chosen), paired("… minus today's rule", chosen, before)]
        lines += [
            shares(f"{encoder}: foreground=auto", own_hits(head)),
            paired("… minus today's rule", own_hits(head), before),
        ]
    return lines


def _again(run: RunAtK, rule: RunAtK, candidates: ingredients.Candidates, by_head: bool) -> Overlaps:
    if run.run.record["foreground"]["sha256"] is None:
        return rule.overlaps
    options = run.run.record["config"]["localization"]
    objectness = Objectness(options["sigma"], options["border_penalty"])
    judge = ingredients.by_head if by_head else ingredients.by_prior(objectness)
    return ingredients.best_overlaps(run, candidates, judge, rule)


def misses(found: Found) -> list[Line]:
    """The share of all images whose box misses, by kind; and of those with an overlap of NEAR or more."""
    return [
        _of_scores(
            f"{encoder}: {method}",
            {heading: proportion(np.array([is_so(*each) for each in images])) for heading, is_so in KINDS.items()},
        )
        for (encoder, method), runs in found.items()
        if method in (NAVE, HEAD)
        for images in [
            [
                (overlap, failures.of_line(run.lines[image_id]))
                for run in runs.values()
                for image_id, overlap in run.overlaps.items()
                if overlap is not None
            ]
        ]
    ]


def _is_kind(kind: str) -> Callable[[float, str], bool]:
    return lambda overlap, found: overlap < HIT and found == kind


KINDS: dict[str, Callable[[float, str], bool]] = {
    "miss": lambda overlap, _: overlap < HIT,
    **{kind: _is_kind(kind) for kind in failures.KINDS},
    f"overlap {NEAR} to {HIT}": lambda overlap, _: NEAR <= overlap < HIT,
}
