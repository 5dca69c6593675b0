"""The numbers that options may be, by their keys; without torch, as they are checked before anything is read."""

from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf


class Limits(NamedTuple):
    """The numbers from ``least`` to ``most``.

    Args:
        otherwise: what may stand in place of a number.
        open: whether ``least`` itself is excluded.
    """

    least: float
    most: float = inf
    otherwise: tuple[str | None, ...] = ()
    whole: bool = True
    open: bool = False

    def __contains__(self, value: object) -> bool:
        if isinstance(value, str) or value is None:
            return value in self.otherwise
        kinds = int if self.whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return self.least <= value <= self.most and not (self.open and value == self.least)

    def __str__(self) -> str:
        numbers = "a whole number" if self.whole else "a number"
        if self.most == inf:
            bounds = f"above {self.least:g}" if self.open else f"from {self.least:g} on"
        else:
            bounds = (
                f"above {self.least:g} and up to {self.most:g}"
                if self.open
                else f"from {self.least:g} to {self.most:g}"
            )
        return ", or ".join([f"{numbers} {bounds}", *("null" if one is None else one for one in self.otherwise)])


COUNT, SHARE, POSITIVE = Limits(1), Limits(0, 1, whole=False), Limits(0, whole=False, open=True)
LIMITS = {
    "seed": Limits(0),
    "stability": Limits(0),
    "concepts": Limits(0, otherwise=("auto",)),
    "overlays": Limits(0),
    "photographs": Limits(1, otherwise=(None,)),
    "pack": Limits(1, otherwise=(None,)),
    "cache_limit_gb": POSITIVE,
    "watermark_probability": SHARE,
    "watermark_size": SHARE._replace(open=True),
    "evaluation.iou": SHARE._replace(open=True),
    "evaluation.groups": COUNT,
    "loader.batch_size": Limits(1, otherwise=("auto",)),
    "loader.num_workers": Limits(0, otherwise=("auto",)),
    "loader.limit": Limits(1, otherwise=(None,)),
    "clustering.n_init": COUNT,
    "clustering.max_iter": Limits(0),
    "clustering.tolerance": Limits(0, whole=False),
    "localization.min_area": Limits(0),
    "localization.border": Limits(0),
    "localization.sigma": POSITIVE,
    "localization.seeds": COUNT,
    "trainer.num_nodes": COUNT,
}
TRAINING = LIMITS | {
    "epochs": Limits(0),
    "label_smoothing": SHARE,
    "warmup": SHARE,
    "ema": Limits(0, 1, (None,), whole=False),
    "patience": Limits(1, otherwise=(None,)),
    "loader.batch_size": Limits(2),  # for batch normalisation
    "loader.num_workers": Limits(0),
}


def within(key: str, value: Any, limits: dict[str, Limits] = LIMITS) -> Any:
    """The value itself; raises ValueError for one that the option cannot have, naming key, value and limits."""
    if value not in limits[key]:
        raise ValueError(f"{key}={'null' if value is None else value}: give {limits[key]}")
    return value


def check_numbers(cfg: DictConfig, limits: dict[str, Limits] = LIMITS) -> None:
    """Checks all numbers of a configuration; raises as :func:`within`."""
    for key, value in _given(cfg, limits):
        within(key, value, limits)


def _given(cfg: DictConfig, limits: dict[str, Limits]) -> Iterator[tuple[str, Any]]:
    """What the configuration has of the options with limits; a choice of a group need not have each."""
    for key in limits:
        group, _, option = key.rpartition(".")
        node = OmegaConf.select(cfg, group) if group else cfg
        if node is not None and option in node:
            yield key, node[option]
