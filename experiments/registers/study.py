"""Outlier tokens of a transformer and their effect on its maps. See README.md here.

NAVE_DATA=… python -m experiments.registers.study --data voc07 --limit 30
"""

import argparse
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from experiments import study
from experiments.registers.outliers import at_pixels, clusters_spent, outliers
from nave.build import build_dataset, build_explainer, instantiate
from nave.clustering.interface import cluster
from nave.comparison.measure import Figures
from nave.config import CONF, register
from nave.data.batch import Batch
from nave.data.datamodule import ImageModule
from nave.encoder.hooks import Activations
from nave.metrics.unlabelled import fragmentation
from nave.module import Explainer, image_seeds

K = 5


def measure(explainer: Explainer, batch: Batch) -> dict[tuple[str, str], float]:
    """The quantities of one image: outlier tokens of every block, and the map of the last block."""
    activations = explainer.encoder(batch.images)
    values = {("outliers", name): float(outliers(grid).float().mean()) for name, grid in activations.grids.items()}
    name, grid = list(activations.grids.items())[-1]
    last = Activations({name: grid}, activations.padded_size, activations.image_size)
    seeds = image_seeds(batch.image_ids, explainer.seed)
    labels = cluster(explainer.clustering, explainer.composite(last), K, seeds).labels[0].numpy()
    spent = clusters_spent(labels, at_pixels(outliers(grid), last.padded_size, last.image_size)[0].numpy())
    return values | {("spent", ""): spent, ("fragmentation", ""): fragmentation(labels)}


def figures(model: str, training: str, data: str, limit: int) -> tuple[list[str], Figures]:
    """The names of all blocks of a network, and the quantities of every image."""
    register()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", overrides=[f"model={model}", f"training={training}", f"data={data}"])
    explainer = build_explainer(cfg)
    explainer.encoder.select_layers(range(len(explainer.encoder.network.blocks)))  # type: ignore[arg-type]
    images: ImageModule = instantiate(cfg.loader, dataset=build_dataset(cfg, cfg.data), limit=limit)
    values: Figures = {}
    for batch in images.predict_dataloader():
        with torch.inference_mode():
            for key, value in measure(explainer, batch).items():
                values.setdefault(key, {})[batch.image_ids[0]] = value
    return explainer.encoder.layers, values


def main() -> None:
    """Runs the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", default=["vits14/default", "vits14/random"], help="MODEL/TRAINING")
    parser.add_argument("--data", default="sample")
    parser.add_argument("--limit", type=int, default=30, help="images")
    parser.add_argument("--output", type=Path, default=Path("outputs/studies/registers"))
    given = parser.parse_args()
    start, by_encoder, blocks = study.clock(), {}, list[str]()
    for encoder in given.encoders:
        model, training = encoder.split("/")
        blocks, values = figures(model, training, given.data, given.limit)
        by_encoder[encoder] = [values]
    shown = [blocks[len(blocks) // 2], blocks[-2], blocks[-1]]
    quantities = {f"outlier tokens, {name}": ("outliers", name) for name in shown}
    quantities |= {"clusters spent on them": ("spent", ""), "fragmentation": ("fragmentation", "")}
    lines = study.lines(by_encoder, quantities)
    given.output.mkdir(parents=True, exist_ok=True)
    study.finish(given.output, lines, start)
    study.plot(lines, given.output / "figure")


if __name__ == "__main__":
    main()
