"""Compositions of the project's configuration, and choices of several groups tried side by side."""

from collections.abc import Sequence

from hydra import compose, initialize_config_module
from omegaconf import DictConfig

from nave.config import CONF, register

register()


def composed(config: str, *overrides: str, with_hydra: bool = False) -> DictConfig:
    """``conf/<config>.yaml`` with ``overrides``, from wherever the package takes its files."""
    with initialize_config_module("nave.conf", version_base="1.3"):
        return compose(config, overrides=list(overrides), return_hydra_config=with_hydra)


def choices(group: str) -> list[str]:
    """The files of a group, without their suffix."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def override(group: str, name: str) -> str:
    """``model=vits14``, ``logger=[csv]``."""
    return f"{group}=[{name}]" if group == "logger" else f"{group}={name}"


def rows(groups: Sequence[str]) -> list[tuple[str, ...]]:
    """One choice of every group at a time, as many rows as the largest group has; each choice comes up.

    A composition takes Hydra a quarter of a second, so no choice is composed alone.
    """
    by_group = [[override(group, name) for name in choices(group)] for group in groups]
    return [tuple(some[row % len(some)] for some in by_group) for row in range(max(map(len, by_group)))]
