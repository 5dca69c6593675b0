"""The schema of a run's configuration: what exists at the top, of which type; checked before any weight is loaded."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from omegaconf import MISSING, OmegaConf

from nave.clustering.clusters import check_k


@dataclass
class Evaluation:
    """Options of the scoring protocols."""

    iou: float = 0.5
    hard: bool = True
    inner: bool = False
    per_class: bool = False
    per_size: bool = False
    groups: int = 21


@dataclass
class RunConfig:
    """Keys of ``conf/config.yaml``; a key that is not here is refused, in an experiment file too."""

    name: str = MISSING
    outputs: str = MISSING
    skip_existing: bool = MISSING
    objective: str = MISSING
    seed: int = MISSING
    k: Any = MISSING
    training: str = MISSING
    weights: str | None = None
    layers: list[Any] = MISSING
    resolution: Any = MISSING
    upsampling: str = MISSING
    normalisation: str = MISSING
    layer_weighting: str = MISSING
    image_size: Any = None
    watermark: str | None = None
    watermark_probability: float = MISSING
    watermark_size: float = MISSING
    stability: int = MISSING
    compile: bool = MISSING
    cache: str | None = None
    cache_dtype: str = MISSING
    cache_limit_gb: float = MISSING
    overlays: bool = MISSING
    photographs: int | None = MISSING
    report: bool = MISSING
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    loader: dict[str, Any] = field(default_factory=dict)
    composer: dict[str, Any] = field(default_factory=dict)
    clustering: dict[str, Any] = field(default_factory=dict)
    localization: dict[str, Any] = field(default_factory=dict)
    evaluation: Evaluation = field(default_factory=Evaluation)
    trainer: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)


def register() -> None:
    """Makes the schema, the names of a sweep's folders and ``by_turns`` known to Hydra."""
    ConfigStore.instance().store(name="schema", node=RunConfig)
    OmegaConf.register_new_resolver("run_name", run_name, replace=True)
    OmegaConf.register_new_resolver("by_turns", by_turns, replace=True)


def by_turns(count: int) -> int:
    """0 to ``count`` - 1, one after the other by a job's number in its sweep: the GPU that is its own; else 0."""
    hydra: Any = HydraConfig.get()
    return int(OmegaConf.select(hydra, "job.num") or 0) % count


def run_name(model: str, training: str, k: Any, overrides: Sequence[str]) -> str:
    """``vits14-default-k5``, then what else was overridden: a folder name, unique within a sweep."""
    told = (
        *("model=", "training=", "k=", "name=", "outputs=", "skip_existing="),
        *("logger=", "logger.", "cache=", "report="),
    )
    others = sorted(override for override in overrides if not override.startswith(told))
    ks = "+".join(str(value) for value in k) if isinstance(k, Sequence) and not isinstance(k, str) else k
    name = re.sub(r"[^\w.,=+-]+", "_", "-".join([model, training, f"k{ks}", *others]))
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= 150 else f"{name[:140]}-{digest}"


def numbers_of_clusters(k: Any) -> tuple[int | str, ...]:
    """``k`` as a tuple: an integer, ``auto``, or a list of those.

    Raises:
        ValueError: naming the value and the choices.
    """
    values = tuple(k) if isinstance(k, Sequence) and not isinstance(k, str) else (k,)
    if not values or len(set(values)) < len(values):
        raise ValueError(f"k={k}: give a number of clusters, auto, or a list of different ones")
    for value in values:
        if isinstance(value, bool) or not (isinstance(value, int) or value == "auto"):
            raise ValueError(f"k={value!r}: the number of clusters must be an integer from 1 to 255, or auto")
        if isinstance(value, int):
            check_k(value)
    return values
