"""What a sweep makes of its overrides: jobs that differ in K alone are one, and files of weights have names."""

from typing import Any

import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from nave.config import numbers_of_clusters
from nave.weights.naming import apart


def is_grid(config: DictConfig) -> bool:
    """Whether the jobs of a sweep are those of its command line, and not chosen by a search."""
    return str(config.hydra.sweeper._target_).endswith("BasicSweeper") and not config.hydra.sweeper.params


def fold(config: DictConfig) -> None:
    """Replaces ``k=3,5,7`` by ``k=[3,5,7]`` in the overrides of a grid, before Hydra makes jobs of them.

    Lists of K, as in ``k=[3],[5]``, stay jobs of their own, and so do values that no run would take.
    """
    if not is_grid(config):
        return
    parser, given = overrides_parser(), as_given(config.hydra.overrides.task)
    with read_write(config), open_dict(config):
        config.hydra.overrides.task = [
            folded(parser.parse_override(override)) if override.startswith("k=") else override for override in given
        ]


def name_files(config: DictConfig) -> None:
    """Names files of weights that have one stem, in different folders, by more of their paths, before jobs are made."""
    parser, given = overrides_parser(), as_given(config.hydra.overrides.task)
    if not is_grid(config) or any(override.startswith("training_name=") for override in given):
        return
    chosen = [parser.parse_override(override) for override in given if override.startswith("weights=")]
    files = [
        str(yaml.safe_load(file)) for one in chosen if one.is_sweep_override() for file in one.sweep_string_iterator()
    ]
    parts, suffix = apart(files)
    if (parts, suffix) != (1, False):
        name = f"${{file_name:${{weights}},${{weights_key}},{parts},{str(suffix).lower()}}}"
        with read_write(config), open_dict(config):
            config.hydra.overrides.task = [*given, f"training_name='{name}'"]


def overrides_parser() -> OverridesParser:
    """Hydra's parser, which knows the groups' choices."""
    return OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())


def as_given(overrides: Any) -> list[str]:
    """The overrides as strings, their ``${…}`` unresolved, since they differ between jobs."""
    given = OmegaConf.to_container(overrides, resolve=False)
    assert isinstance(given, list)
    return [str(override) for override in given]


def folded(override: Override) -> str:
    """The override with a list in the place of several values, or as it was given."""
    given = str(override.input_line)
    if not override.is_sweep_override():
        return given
    values = [yaml.safe_load(value) for value in override.sweep_string_iterator()]
    try:
        numbers = numbers_of_clusters(values)
    except ValueError:
        return given
    return f"k=[{','.join(map(str, numbers))}]"
