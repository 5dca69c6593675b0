"""From a configuration to the parts of a run: whatever a node's ``_target_`` names, put together."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf

from nave.config import check_cache, numbers_of_clusters
from nave.data.interface import Dataset
from nave.data.watermark import watermarked
from nave.encoder.activation_cache import ActivationCache
from nave.encoder.encoder import Encoder, compile_layer_modules
from nave.localization.interface import Localizer
from nave.loggers.interface import RunLogger
from nave.module import Explainer


def instantiate(node: DictConfig, **arguments: Any) -> Any:
    """What a node's ``_target_`` makes; its own error, without the one that Hydra puts around it."""
    try:
        return hydra_instantiate(node, _convert_="all", **arguments)
    except InstantiationException as error:
        raise error.__cause__ or error from None


def build_dataset(cfg: DictConfig, node: DictConfig) -> Dataset:
    """The data set that ``node`` names, with the watermarks that the configuration asks for."""
    dataset: Dataset = instantiate(node)
    options = {"probability": cfg.watermark_probability, "seed": cfg.seed, "size": cfg.watermark_size}
    return watermarked(dataset, cfg.watermark, **options)


def build_explainer(cfg: DictConfig, encoder: Encoder | None = None) -> Explainer:
    """The module, around ``encoder`` or that of the configuration; cheap checks come before weights are read.

    Raises:
        ValueError: naming the key, its value and the choices; and what the parts raise.
    """
    asked = numbers_of_clusters(OmegaConf.to_object(cfg.k) if OmegaConf.is_config(cfg.k) else cfg.k)
    cache = _cache(cfg)
    composite, clustering = instantiate(cfg.composite), instantiate(cfg.clustering)
    localization: Localizer = instantiate(cfg.localization)
    chosen = {key: cfg[key] for key in ("weights_key", "training_name") if cfg[key] is not None}
    encoder = encoder or instantiate(cfg.model, layers=cfg.layers, **chosen)
    assert isinstance(encoder, Encoder)
    encoder.select_layers(localization.layers(encoder.layers))
    if cfg.compile:
        compile_layer_modules(encoder.network, encoder.layers)
    ks = localization.ks(asked)
    return Explainer(encoder, composite, clustering, localization, ks, cfg.seed, cfg.stability, cache)


def build_loggers(group: DictConfig) -> dict[str, RunLogger]:
    """By name; what is no node is an option that the loggers share."""
    nodes = {str(name): node for name, node in group.items() if OmegaConf.is_config(node)}
    return {name: instantiate(node) for name, node in nodes.items()}


def _cache(cfg: DictConfig) -> ActivationCache | None:
    check_cache(cfg)
    return None if cfg.cache is None else ActivationCache(cfg.cache, cfg.cache_dtype, cfg.cache_limit_gb)
