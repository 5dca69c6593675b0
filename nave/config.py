"""The schemas of configurations: which keys exist, of which type; and what is checked before any weight is loaded."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, DictConfig, OmegaConf

from nave.clustering.number import NumberOfClusters, check_k
from nave.data.input_size import InputSize
from nave.limits import check_numbers, within
from nave.localization.switch import CHOICES, SOURCES, switched
from nave.metrics import SCORES
from nave.runs.folder_names import encoder_name, run_name
from nave.weights.naming import file_name

ASKED = "${architecture}"  # in the file of a model that is any network of timm
CACHED = ("float32", "float16")
CONF = Path(str(files("nave.conf")))


@dataclass
class Evaluation:
    """Options of the scoring protocols; ``conf/config.yaml`` says what they mean."""

    iou: float = MISSING
    hard: bool = MISSING
    inner: bool = MISSING
    per_class: bool = MISSING
    per_size: bool = MISSING
    groups: int = MISSING


@dataclass
class RunConfig:
    """Keys of ``conf/config.yaml``; a key that is not here is refused, in an experiment file too."""

    name: str = MISSING
    outputs: str = MISSING
    skip_existing: bool = MISSING
    objective: str = MISSING
    seed: int = MISSING
    k: Any = MISSING
    architecture: str | None = None
    training: str = MISSING
    weights: str | None = None
    weights_key: str | None = None
    training_name: str | None = None
    layers: list[Any] = MISSING
    foreground: str = MISSING
    image_size: Any = None
    longer_side: Any = None
    watermark: str | None = None
    watermark_probability: float = MISSING
    watermark_size: float = MISSING
    stability: int = MISSING
    concepts: Any = MISSING
    compile: bool = MISSING
    cache: str | None = None
    cache_dtype: str = MISSING
    cache_limit_gb: float = MISSING
    overlays: int = MISSING
    photographs: int | None = MISSING
    pack: int | None = MISSING
    report: bool = MISSING
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    loader: dict[str, Any] = field(default_factory=dict)
    composite: dict[str, Any] = field(default_factory=dict)
    clustering: dict[str, Any] = field(default_factory=dict)
    localization: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation = field(default_factory=Evaluation)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Makes the schemas, the names of folders, ``round_robin`` and ``gpus_per_node`` known to Hydra."""
    ConfigStore.instance().store(name="schema", node=RunConfig)
    ConfigStore.instance().store(name="train_schema", node=TrainConfig)
    OmegaConf.register_new_resolver("encoder_name", encoder_name, replace=True)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("file_name", file_name, replace=True)
    OmegaConf.register_new_resolver("round_robin", round_robin, replace=True)
    OmegaConf.register_new_resolver("gpus_per_node", _gpus_per_node, replace=True)
    OmegaConf.register_new_resolver("one_size", one_size, replace=True)
    OmegaConf.register_new_resolver("if_equal", lambda a, b, then, other: then if a == b else other, replace=True)
    OmegaConf.register_new_resolver("either", lambda value, default: default if value is None else value, replace=True)


def composed(overrides: Sequence[str]) -> DictConfig:
    """``conf/config.yaml`` with overrides, as a command composes it."""
    register()
    with initialize_config_module("nave.conf", version_base="1.3"):
        return compose("config", overrides=[*overrides])


def _gpus_per_node(accelerator: str, devices: Any, partition: str | None) -> Any:
    from nave.processes.distributed import gpus_per_node  # it imports Lightning, and only a launch on SLURM asks

    return gpus_per_node(accelerator, devices, partition)


def one_size(architecture: str | None) -> Any:
    """``image_size`` of a network of timm that takes one size only; None if it takes any, or does not exist."""
    from nave.encoder import timm_network  # takes seconds, and other models need nothing of it

    with suppress(ValueError):  # OmegaConf would make its message unreadable: check() tells it
        return timm_network.one_size(architecture)
    return None


def check_architecture(cfg: DictConfig) -> None:
    """Refuses a network that timm does not have, and ``architecture`` beside a model that has its own.

    Raises:
        ValueError: naming the key, its value and the choices.
    """
    if ASKED in OmegaConf.to_container(cfg.model).values():  # type: ignore[union-attr]
        from nave.encoder import timm_network

        timm_network.describe(cfg.architecture)
    elif cfg.architecture is not None:
        raise ValueError(f"architecture={cfg.architecture} is an option of model=timm: choose that, or leave it out")


def round_robin(count: int) -> int:
    """0 to ``count`` - 1, one after the other by a job's number in its sweep: the GPU that is its own; else 0."""
    hydra: Any = HydraConfig.get() if HydraConfig.initialized() else OmegaConf.create()  # before there is a job
    return int(OmegaConf.select(hydra, "job.num") or 0) % count


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration as plain values, its interpolations resolved."""
    values = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items()}


def check(cfg: DictConfig) -> None:
    """Finds, before the work, what would fail after it; raises ValueError naming the key, its value and the choices."""
    check_architecture(cfg)
    check_numbers(cfg)
    InputSize.of(cfg.image_size, cfg.longer_side)
    if cfg.objective not in SCORES:
        raise ValueError(f"objective={cfg.objective}: choose one of {', '.join(SCORES)}")
    if switched(cfg.foreground) not in SOURCES and not Path(cfg.foreground).is_file():
        raise ValueError(f"foreground={cfg.foreground} is no file: choose {CHOICES}")
    check_cache(cfg)


def check_cache(cfg: DictConfig) -> None:
    """Raises ValueError for a cache that cannot be."""
    if cfg.cache_dtype not in CACHED:
        raise ValueError(f"cache_dtype={cfg.cache_dtype}: choose {' or '.join(CACHED)}")
    within("cache_limit_gb", cfg.cache_limit_gb)
    if cfg.cache is None and cfg.cache_dtype != CACHED[0]:
        raise ValueError(f"cache_dtype={cfg.cache_dtype} says how activations are kept: give cache=FOLDER, or leave it")
    if cfg.cache is not None and Path(cfg.cache).exists() and not Path(cfg.cache).is_dir():
        raise ValueError(f"cache={cfg.cache} is a file: name a folder")


def numbers_of_clusters(k: Any) -> tuple[NumberOfClusters, ...]:
    """``k`` as a tuple: an integer, ``auto``, or a list of those.

    Raises:
        ValueError: naming the value and the choices.
    """
    values = tuple(k) if isinstance(k, Sequence) and not isinstance(k, str) else (k,)
    for value in values:
        if isinstance(value, bool) or not (isinstance(value, int) or value == "auto"):
            raise ValueError(f"k={value!r}: the number of clusters must be an integer from 1 to 255, or auto")
        if isinstance(value, int):
            check_k(value)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"k={k}: give a number of clusters, auto, or a list of different ones")
    return values


@dataclass
class TrainConfig:
    """Keys of ``conf/train.yaml``; a key that is not here is refused."""

    name: str | None = None
    outputs: str = MISSING
    seed: int = MISSING
    architecture: str | None = None
    epochs: int = MISSING
    training: str = MISSING
    weights: str | None = None
    image_size: int = MISSING
    exclude: list[str] = MISSING
    watermark: str | None = None
    watermark_probability: float = MISSING
    watermark_size: float = MISSING
    validation: Any = MISSING
    label_smoothing: float = MISSING
    warmup: float = MISSING
    ema: float | None = None
    patience: int | None = None
    snapshots: list[int] = MISSING
    snapshot_steps: list[int] = MISSING
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    scheme: dict[str, Any] = field(default_factory=dict)
    augmentation: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    loader: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
