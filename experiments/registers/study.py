"""Outlier tokens of a transformer, and what they do to its maps. See README.md here.

NAVE_DATA=… python experiments/registers/study.py --data voc07 --limit 30
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
import study  # experiments/study.py
from hydra import compose, initialize_config_module

from nave.clustering.elbow import cluster
from nave.comparison.measure import Figures
from nave.comparison.registers import at_pixels, clusters_spent, outliers
from nave.comparison.scatter import scattered
from nave.data.module import ImageModule
from nave.module import Explainer, image_seeds
from nave.run import build, built


def measure(explainer: Explainer, batch: Any) -> dict[tuple[str, str], float]:
    """Of one image: outlier tokens of every block; the last block's map, and its clusters spent on outliers."""
    image = (batch.images.shape[2], batch.images.shape[3])
    padded = explainer.encoder.padded(image)
    activations = explainer.encoder(batch.images)
    found = {("outliers", name): float(outliers(grid).float().mean()) for name, grid in activations.items()}
    name, last = list(activations.items())[-1]
    composite = explainer.composer.compose({name: last}, padded, image)
    clusters = cluster(explainer.clustering, composite, explainer.ks[0], image_seeds(batch.image_ids, explainer.seed))
    labels = clusters.labels[0].numpy()
    spent = clusters_spent(labels, at_pixels(outliers(last), padded, image)[0].numpy())
    return found | {("spent", ""): spent, ("scattered", ""): scattered(labels)}


def figures(model: str, training: str, data: str, limit: int) -> tuple[list[str], Figures]:
    """The names of the blocks, and every figure by image."""
    with initialize_config_module("nave.conf", version_base="1.3"):
        cfg = compose("config", overrides=[f"model={model}", f"training={training}", f"data={data}", "k=5"])
    count = len(build(cfg).encoder.network.blocks)  # type: ignore[arg-type]
    cfg.layers = list(range(count))
    explainer, images = build(cfg), ImageModule(built(cfg.data), limit=limit)
    found: Figures = {}
    for batch in images.predict_dataloader():
        with torch.inference_mode():
            for key, value in measure(explainer, batch).items():
                found.setdefault(key, {})[batch.image_ids[0]] = value
    return explainer.encoder.layers, found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["vits14/default", "vits14/random"], help="MODEL/TRAINING")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--limit", type=int, default=30, help="images")
    parser.add_argument("--output", type=Path, default=Path("outputs/studies/registers"))
    given = parser.parse_args()
    start = study.clock()
    by, blocks = {}, []
    for encoder in given.encoders:
        blocks, found = figures(*encoder.split("/"), given.data, given.limit)
        by[encoder] = [found]
    some = [blocks[len(blocks) // 2], blocks[-2], blocks[-1]]
    headings = {f"outlier tokens, {name}": ("outliers", name) for name in some}
    headings |= {"clusters spent on them": ("spent", ""), "scattered pixels": ("scattered", "")}
    lines = study.lines(by, headings)
    given.output.mkdir(parents=True, exist_ok=True)
    study.finish(given.output, lines, start)
    study.plot(lines, given.output / "figure")


if __name__ == "__main__":
    main()
