"""The whole run against the bare encoder, on the same photographs in the same batches."""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from nave.api import configuration
from nave.bench.photographs import photographs, write
from nave.bench.timing import Figures, seconds
from nave.data.folder import Folder
from nave.module import Explainer
from nave.results import RunFolder
from nave.run import build, built, explain

STAGES = ("encoder", "clustering", "localization", "writing")


def end_to_end(name: str, size: tuple[int, int], images: int, batch_size: int, repeats: int, **options: Any) -> Figures:
    """Images a second of both, and how much of the run's time each stage takes, under ``end_to_end_…_<name>``.

    Both are measured in turn, and the medians compared. Decoding, batching, all that is written (maps, overlays,
    copies of the photographs, records) are part of the run; reading weights is not. Writing goes on beside the
    rest, so the shares may add up to more than 1.
    """
    cfg = configuration(options | {"loader.batch_size": batch_size})
    explainer = build(cfg).to("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory() as folder:
        dataset = Folder(write(Path(folder, "photographs"), photographs(images, size)))
        whole: list[float] = []
        bare: list[float] = []
        shares: list[dict[str, float]] = []
        for turn in range(repeats + 1):
            alone = bare_encoder(cfg, explainer, dataset)
            explainer.seconds.clear()
            run, writing = full_run(cfg, explainer, dataset, Path(folder, str(turn)))
            if turn:  # the first is the warm-up
                stages = explainer.seconds | {"writing": writing}
                whole.append(run)
                bare.append(alone)
                shares.append({stage: stages[stage] / run for stage in STAGES})
    middle = {stage: statistics.median(share[stage] for share in shares) for stage in STAGES}
    return {
        f"end_to_end_{name}_images_per_second": images / statistics.median(whole),
        f"encoder_{name}_images_per_second": images / statistics.median(bare),
        f"end_to_end_over_encoder_{name}": statistics.median(bare) / statistics.median(whole),
        **{f"share_{name}_{stage}": middle[stage] for stage in STAGES},
    }


def bare_encoder(cfg: DictConfig, explainer: Explainer, dataset: Folder) -> float:
    """Seconds of the encoder's forward pass alone; the batches lie on its device before."""
    loader = built(cfg.loader, dataset=dataset).predict_dataloader()
    batches = [batch.to(next(explainer.encoder.parameters()).device).images for batch in loader]
    return seconds(lambda: [explainer.encoder(batch) for batch in batches])


def full_run(cfg: DictConfig, explainer: Explainer, dataset: Folder, folder: Path) -> tuple[float, float]:
    """Seconds of the run from its first batch to its last file, and of what was written."""
    record: dict[str, Any] = {"model": "", "training": "", "weights": "", "data": dataset.name}
    start = time.perf_counter()
    explain(cfg, explainer, dataset, RunFolder(folder, explainer.ks), record)
    took = time.perf_counter() - start
    speed = record["images_per_second"]
    return (len(dataset) / speed if speed else took), record["seconds"]["writing"]
