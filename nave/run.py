"""Explains images: ``python -m nave.run model=vits14 data=sample k=5`` (compose, build, predict, score, log)."""

import json
import logging
import sys
import warnings
from collections.abc import Mapping
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
from nave.cache import ActivationCache
from nave.compiled import compile_stages
from nave.config import numbers_of_clusters, register
from nave.data.module import ImageModule
from nave.data.photograph import Dataset, Prepared
from nave.data.watermark import watermarked
from nave.encoder import Encoder
from nave.evaluate import evaluate
from nave.hooks import layer_names
from nave.localization.localizer import Peer
from nave.loggers import FinishedRun, NotLogged, log_run
from nave.module import Explainer
from nave.processes import is_first, one_job, part
from nave.progress import ImageProgress
from nave.results import METRICS, RUN, RunFolder, prediction_folders, read_record, write_whole
from nave.resume import OtherResults, adopt, check_same, complete_twin, refusal
from nave.status import Record, begun, recorded, save
from nave.terminal import show, show_run
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
    cache = _cache(cfg)
    composer, clustering, localizer = (built(cfg[part]) for part in ("composer", "clustering", "localization"))
    encoder: Encoder = built(cfg.model, layers=cfg.layers)
    if isinstance(localizer, Peer):
        encoder.layers = layer_names(encoder.network, localizer.layers(encoder.layers))
    if cfg.compile:
        compile_stages(encoder.network, encoder.layers)
    return Explainer(encoder, composer, clustering, localizer, ks, cfg.seed, cfg.stability, cache)


def _cache(cfg: DictConfig) -> ActivationCache | None:
    if cfg.cache is not None:
        return ActivationCache(cfg.cache, cfg.cache_dtype, cfg.cache_limit_gb)
    if cfg.cache_dtype != "float32":
        raise ValueError(f"cache_dtype={cfg.cache_dtype} says how activations are kept: give cache=FOLDER, or leave it")
    return None


def built(node: DictConfig, **arguments: Any) -> Any:
    """What a node's ``_target_`` makes; its own error, without the one that Hydra puts around it."""
    try:
        return instantiate(node, _convert_="all", **arguments)
    except InstantiationException as error:
        raise error.__cause__ or error from None


def run(cfg: DictConfig, folder: Path) -> Record:
    """Explains ``cfg.data`` into ``folder`` and scores what has ground truth; the record, which is run.json too.

    Images that an earlier attempt has finished there are not computed again, and a run that is complete somewhere is
    not repeated if ``skip_existing`` says so. The record lies in the folder from the start, and says how it ended.

    Raises:
        OtherResults: if the folder holds results of another configuration, other weights or other data.
        NothingExplained: if no image could be read; and what :func:`build` raises.
    """
    config = OmegaConf.to_container(cfg, resolve=True)
    before = read_record(folder)
    check_same(before, {"config": config}, folder)
    record = begun(config, before)
    if before is None:
        save(folder, record)
    with recorded(folder, record):
        marks = (cfg.watermark, cfg.watermark_probability, cfg.seed, cfg.watermark_size)
        dataset: Dataset = watermarked(built(cfg.data), *marks)
        explainer = build(cfg)
        if isinstance(dataset, Prepared):
            dataset.prepare()
        record |= provenance.encoder(explainer.encoder) | provenance.data(dataset) | {"ks": list(explainer.ks)}
        check_same(before, record, folder)
        if cfg.skip_existing and (twin := complete_twin(folder, record, Path(cfg.outputs))):
            log.info("complete already: %s", twin)
            record |= adopt(twin, folder)
            _log(cfg, folder, record, dataset)
            return record
        results = RunFolder(folder, explainer.ks)
        if before and before["status"] == "ok" and is_first():
            results.clear()
        explain(cfg, explainer, dataset, results, record)
        if is_first():
            evaluate(folder)
            _log(cfg, folder, record, dataset)
            results.discard_parts()
    return record


def explain(cfg: DictConfig, explainer: Explainer, dataset: Dataset, results: RunFolder, record: Record) -> None:
    """Fills the folder with what it lacks, on all devices, and ``record`` with figures of the work."""
    images: ImageModule = built(cfg.loader, dataset=dataset, skip=results.finished())
    total = record["total"] = len(images.skip) + images.count
    writer = Writer(results, dataset, cfg.overlays, cfg.photographs)
    progress = ImageProgress(images.count)
    trainer: Trainer = built(cfg.trainer, callbacks=[writer, progress])
    record["device"] = provenance.device_name(trainer.strategy.root_device, trainer.world_size)
    save(results.root, record)
    _announce(record, images, cfg.k, results.root)
    if images.count:
        trainer.predict(explainer, images, return_predictions=False)
    part()
    if not is_first():
        return
    record["unreadable"] = results.collect(total)
    record["images"] = total - len(record["unreadable"])
    record["images_per_second"] = round(images.count / progress.seconds, 3) if progress.seconds else 0.0
    record["seconds"] = {name: round(seconds, 3) for name, seconds in (explainer.seconds | writer.seconds).items()}
    if not record["images"]:
        raise NothingExplained(f"none of {total} images of {dataset.name} could be read: {_reasons(record)}")


def _log(cfg: DictConfig, folder: Path, record: Record, dataset: Dataset) -> None:
    if is_first() and cfg.logger:
        finished = FinishedRun.load(folder, record, dataset)
        record["logged"] = log_run(cfg.logger, finished, record.get("logged", []))


def _announce(record: Record, images: ImageModule, k: Any, folder: Path) -> None:
    if is_first():
        done = f" ({len(images.skip)} more are done)" if images.skip else ""
        log.info(
            "%s (training %s, %s) on %s: %d images of %s%s, k=%s, to %s",
            *(record[key] for key in ("model", "training", "weights", "device")),
            *(images.count, record["data"], done, k, folder),
        )


def _reasons(record: Mapping[str, Any], first: int = 3) -> str:
    return "; ".join(f"{image['image_id']}: {image['reason']}" for image in record["unreadable"][:first])


def quiet() -> None:
    """Lightning's advice to trainers is no news to somebody who explains images."""
    for package in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(package).setLevel(logging.WARNING)
    for message in ("does not have many workers", "predict returned None", "`srun` command is available"):
        warnings.filterwarnings("ignore", f".*{message}.*")
    warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)


def job(cfg: DictConfig) -> float | None:
    """One job; its score by ``objective``, for a sweeper that searches.

    In a multirun a failing job is noted in its run.json and the others go on; the summary fails then.
    """
    quiet()
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        with one_job(folder):
            record = run(cfg, folder)
            if not is_first():
                return None
            show_run(folder, record)
            if cfg.report:
                from nave.report import write_report  # plots need matplotlib, which takes its time to import

                show(f"look at {write_report(folder)}")
        return _objective(folder, cfg.objective)
    except Exception as error:
        log.error("error: %s (traceback in %s)", error, folder / RUN)  # noqa: TRY400 - short
        if is_first() and not isinstance(error, OtherResults | NotLogged):
            log_run(cfg.logger, FinishedRun(folder, read_record(folder) or {}))
        if HydraConfig.get().mode == RunMode.RUN:
            sys.exit(1)
        if isinstance(error, OtherResults):  # run.json tells of the other run
            write_whole(refusal(folder), str(error))
        return None


def _objective(folder: Path, protocol: str) -> float | None:
    """The best over the numbers of clusters."""
    scores = [json.loads((found / METRICS).read_text())[protocol] for found in prediction_folders(folder)]
    return max((score["value"] for score in scores if score["value"] is not None), default=None)


main = hydra.main(version_base="1.3", config_path="conf", config_name="config")(job)

if __name__ == "__main__":
    from nave.run import main as importable  # a cluster's jobs find it by name; ``__main__`` they could not

    importable()
