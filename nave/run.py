"""Explains images: ``python -m nave.run model=vits14 data=sample k=5`` (compose, build, predict, score)."""

import logging
import sys
import time
import traceback
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from nave import provenance
from nave.config import numbers_of_clusters, register
from nave.data.module import ImageModule
from nave.data.photograph import Dataset
from nave.encoder import Encoder
from nave.evaluate import evaluate
from nave.module import Explainer
from nave.progress import ImageProgress
from nave.results import RUN, RunFolder, write_json
from nave.terminal import show_run
from nave.writer import Writer

log = logging.getLogger(__name__)
register()


class NothingExplained(RuntimeError):  # noqa: N818 - it says what happened
    """Not one image of the data set could be explained."""


def build(cfg: DictConfig) -> Explainer:
    """The module that a configuration describes; cheap checks come before weights are read.

    Raises:
        ValueError: naming the key, its value and the choices; and what the parts raise.
    """
    ks = numbers_of_clusters(OmegaConf.to_object(cfg.k) if OmegaConf.is_config(cfg.k) else cfg.k)
    composer, clustering, localizer = (built(cfg[part]) for part in ("composer", "clustering", "localization"))
    encoder: Encoder = built(cfg.model, layers=cfg.layers)
    return Explainer(encoder, composer, clustering, localizer, ks, cfg.seed)


def built(node: DictConfig, **arguments: Any) -> Any:
    """What a node's ``_target_`` makes; its own error, without the one that Hydra puts around it."""
    try:
        return instantiate(node, _convert_="all", **arguments)
    except InstantiationException as error:
        raise error.__cause__ or error from None


def run(cfg: DictConfig, folder: Path) -> dict[str, Any]:
    """Explains ``cfg.data`` into ``folder`` and scores what has ground truth; the record, which is run.json too.

    The record lies in the folder from the start, and says how the run ended.

    Raises:
        NothingExplained: if no image could be read; and what :func:`build` raises.
    """
    start = time.perf_counter()
    record = {
        "status": "running",
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "config": OmegaConf.to_container(cfg, resolve=True),
        "versions": provenance.versions(),
        "commit": provenance.commit(),
    }
    write_json(folder / RUN, record)
    try:
        record |= _explain(cfg, folder)
        evaluate(folder)
        record["status"] = "ok"
    except BaseException as error:
        record |= {"status": "failed", "error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        raise
    finally:
        record["seconds"] = {**record.get("seconds", {}), "total": round(time.perf_counter() - start, 3)}
        write_json(folder / RUN, record)
    return record


def _explain(cfg: DictConfig, folder: Path) -> dict[str, Any]:
    dataset: Dataset = built(cfg.data)
    explainer = build(cfg)
    images: ImageModule = built(cfg.loader, dataset=dataset)
    results = RunFolder(folder, explainer.ks)
    writer, progress = Writer(results, dataset, cfg.overlays), ImageProgress(images.count)
    trainer: Trainer = built(cfg.trainer, callbacks=[writer, progress])
    device = provenance.device_name(trainer.strategy.root_device)
    encoder = provenance.encoder(explainer.encoder)
    log.info(
        "%s (training %s, %s) on %s: %d images of %s, k=%s, to %s",
        *(encoder[key] for key in ("model", "training", "weights")), device, images.count, dataset.name, cfg.k, folder,
    )  # fmt: skip
    trainer.predict(explainer, images, return_predictions=False)
    results.collect()
    explained = images.count - len(writer.unreadable)
    if not explained:
        raise NothingExplained(f"none of {images.count} images of {dataset.name} could be read: {writer.reasons()}")
    return encoder | {
        "device": device,
        "images": explained,
        "unreadable": [{"image_id": image_id, "reason": reason} for _, image_id, reason in sorted(writer.unreadable)],
        "images_per_second": round(explained / progress.seconds, 3),
        "seconds": {stage: round(seconds, 3) for stage, seconds in (explainer.seconds | writer.seconds).items()},
    }


def _quiet() -> None:
    """Lightning's advice to trainers is no news to somebody who explains images."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
    warnings.filterwarnings("ignore", ".*predict returned None.*")


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(cfg: DictConfig) -> None:
    """One job. In a multirun a failing job is noted in its run.json and the others go on; the summary fails then."""
    _quiet()
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        show_run(folder, run(cfg, folder))
    except Exception as error:
        log.error("error: %s (traceback in %s)", error, folder / RUN)  # noqa: TRY400 - short
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)


if __name__ == "__main__":
    main()
