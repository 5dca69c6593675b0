"""Hydra and OmegaConf do once in a process what the same words of hundreds of compositions make them do again.

Files of ``conf/`` do not change meanwhile. Each composition has a copy of its own, to which Hydra itself applies the
overrides of values; a choice of files is composed by Hydra once. Commands in processes of their own remember nothing.
"""

import pickle  # a sixth of the time of deepcopy
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any, cast

import omegaconf._utils
import omegaconf.base
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import IConfigRepository
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra._internal.defaults_list import DefaultsList, create_defaults_list
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig
from omegaconf.grammar_parser import parse

_active = True


@contextmanager
def without_memory() -> Iterator[None]:
    """Choices of files are composed by Hydra anew."""
    global _active  # noqa: PLW0603 - the process has one Hydra
    _active = False
    try:
        yield
    finally:
        _active = True


def remember() -> None:
    """From now on."""
    Plugins.instance()  # it defines the classes of sources anew, without what would have been replaced before
    ConfigStore.__deepcopy__ = lambda self, _: self  # type: ignore[attr-defined] # schemas, of which each reader copies its own
    _remember_files()
    _remember_overrides()
    _remember_choices()
    _remember_compositions()
    parse_once = cache(parse)  # of ${interpolations}: the tree is only read
    omegaconf.base.parse = omegaconf._utils.parse = parse_once  # type: ignore[attr-defined]


def _remember_files() -> None:
    # what the head of this file imported is the class of before
    from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource as Source

    read, kept = Source._read_config, dict[tuple[object, ...], bytes]()

    def from_memory(self: ImportlibResourcesConfigSource, res: Any) -> ConfigResult:
        key = (self.provider, self.path, str(res))
        if key not in kept:
            kept[key] = pickle.dumps(read(self, res))
        return cast(ConfigResult, pickle.loads(kept[key]))

    Source._read_config = from_memory  # type: ignore[method-assign]


def _remember_overrides() -> None:
    parse_rule, kept = OverridesParser.parse_rule, {}

    def from_memory(self: OverridesParser, s: str, rule_name: str) -> Any:
        if (s, rule_name) not in kept:
            kept[s, rule_name] = parse_rule(self, s, rule_name)
        return deepcopy(kept[s, rule_name])

    OverridesParser.parse_rule = from_memory  # type: ignore[method-assign]


def _remember_choices() -> None:
    """Which files a command line chooses is told by its overrides of groups alone."""
    kept: dict[tuple[object, ...], DefaultsList] = {}

    def from_memory(
        repo: IConfigRepository, config_name: str | None, overrides_list: list[Override], **options: bool
    ) -> DefaultsList:
        if not _active or (sources := _sources(repo)) is None:
            return create_defaults_list(repo=repo, config_name=config_name, overrides_list=overrides_list, **options)
        values = [one for one in overrides_list if _is_value(one, repo)]
        groups = [one for one in overrides_list if one not in values]
        key = (sources, config_name, *(one.input_line for one in groups), *options.items())
        if key not in kept:
            kept[key] = create_defaults_list(repo=repo, config_name=config_name, overrides_list=groups, **options)
        return replace(kept[key], config_overrides=values)

    config_loader_impl.create_defaults_list = from_memory  # type: ignore[attr-defined, assignment]


def _is_value(override: Override, repo: IConfigRepository) -> bool:
    """As Hydra tells them from overrides of groups."""
    if override.is_sweep_override():
        return False
    return isinstance(override.value(), dict) or not repo.group_exists(override.key_or_group)


def _remember_compositions() -> None:
    compose, kept = ConfigLoaderImpl._compose_config_from_defaults_list, dict[object, bytes]()

    def from_memory(self: ConfigLoaderImpl, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        if not _active or (sources := _sources(repo)) is None:
            return compose(self, defaults, repo)
        key = (sources, repr(defaults))
        if key not in kept:
            kept[key] = pickle.dumps(compose(self, defaults, repo))
        return cast(DictConfig, pickle.loads(kept[key]))

    ConfigLoaderImpl._compose_config_from_defaults_list = from_memory  # type: ignore[method-assign]


def _sources(repo: IConfigRepository) -> tuple[tuple[str, str], ...] | None:
    """Where files come from; None with folders, whose files tests write."""
    found = tuple((source.scheme(), source.path) for source in repo.get_sources())
    return None if any(scheme == "file" for scheme, _ in found) else found
