"""The page's numbers: scores with their intervals, one row for every variant, links to what is on disk."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from nave.report.collect import Run, Variant, k_order
from nave.report.settings import axes

PROTOCOLS = {  # the honest ones first
    "corloc": ("CorLoc", "one box an image, chosen without ground truth, hits an object"),
    "ap50": ("AP50", "all components ranked without ground truth; class-agnostic COCO average precision"),
    "ar100": ("AR@100", "average recall of all components, COCO"),
    "nave": ("NAVE protocol", "upper bound: ground truth chooses the component, so never compare it with the others"),
}


def cells(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every protocol's score, ready to print; ``value`` is None where nothing could be scored."""
    return [
        {"protocol": key, "name": name, "note": note} | dict(scores.get(key) or {"value": None})
        for key, (name, note) in PROTOCOLS.items()
    ]


def further(found: Sequence[Variant]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Figures beside the protocols (what the maps are like, single classes): their names, and a score a variant."""
    names = dict.fromkeys(name for variant in found for name in variant.scores if name not in PROTOCOLS)
    rows = [(name, [dict(variant.scores.get(name) or {"value": None}) for variant in found]) for name in names]
    return [(name, row) for name, row in rows if any(score["value"] is not None for score in row)]


def scored(found: Sequence[Variant]) -> bool:
    """Whether any variant has any score."""
    return any(cell["value"] is not None for variant in found for cell in cells(variant.scores))


def rows(found: Sequence[Variant], page: Path) -> list[dict[str, Any]]:
    """One row a variant."""
    return [
        {
            "settings": [variant.settings[key] for key in columns(found)],
            "images": len(variant.lines),
            "speed": variant.run.record.get("images_per_second"),
            "cells": cells(variant.scores),
            "link": link(variant.run, page),
        }
        for variant in found
    ]


def columns(found: Sequence[Variant]) -> list[str]:
    """What differs; the page's title says what does not."""
    return list(axes(found)) or ["k"]


def failures(runs: Sequence[Run], page: Path) -> list[dict[str, str]]:
    """The runs that did not end well, and why."""
    return [
        {
            "name": run.folder.name,
            "status": str(run.record["status"]),
            "error": str(run.record.get("error", "")),
            "link": relative(run.folder, page),
        }
        for run in runs
        if not run.finished
    ]


def link(run: Run, page: Path) -> str | None:
    """Where the run's own page lies; None on that page itself."""
    own = run.folder / page.name
    return None if own.absolute() == page.absolute() else relative(own, page)


def relative(target: Path, page: Path) -> str:
    """A link that works wherever the folder is copied to."""
    return quote(Path(os.path.relpath(target.absolute(), page.parent.absolute())).as_posix())


def facts(found: Sequence[Variant]) -> list[str]:
    """What was explained, in a few words under the title."""
    datasets = {run_data(variant.run) for variant in found}
    images = len({name for variant in found for name in variant.lines})
    ks = sorted({variant.k for variant in found}, key=k_order)
    started = sorted({str(variant.run.record["started"])[:10] for variant in found})
    return [
        f"{images} images of {', '.join(sorted(datasets))}",
        f"K = {', '.join(ks)}",
        " to ".join(started[:: max(1, len(started) - 1)]),
    ]


def run_data(run: Run) -> str:
    """The data set's short name, as its module has it, and which part of it; not where it lies."""
    config = run.record["config"]["data"]
    part = [str(config[key]) for key in ("year", "split") if key in config]
    return " ".join([config["_target_"].split(".")[-2], *part])


def provenance(run: Run) -> list[tuple[str, str]]:
    """What made the result, as far as the run noted it."""
    record, config = run.record, run.record["config"]
    noted = {
        "architecture": record.get("architecture"),
        "training": record.get("training"),
        "weights": record.get("weights"),
        "weights' sha256": record.get("weights_sha256"),
        "layers": ", ".join(map(str, record.get("layers", []))),
        "resolution": config["resolution"],
        "normalisation": config["normalisation"],
        "seed": config["seed"],
        "device": record.get("device"),
        "seconds": ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in record.get("seconds", {}).items()),
        "started": record.get("started"),
        "commit": record.get("commit"),
        "versions": ", ".join(f"{name} {version}" for name, version in record.get("versions", {}).items()),
    }
    return [(name, str(value)) for name, value in noted.items() if value not in (None, "")]
