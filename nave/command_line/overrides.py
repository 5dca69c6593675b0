"""What is wrong with a command line, said before torch is imported and before a folder is made."""

import re
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_module
from hydra._internal.utils import get_args_parser
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nave.command_line.help import help_text
from nave.command_line.machine import CommandLineError
from nave.command_line.values import check_values
from nave.config import CONF, register
from nave.near_names import near
from nave.processes.signals import ended_with_its_reader


def answer(config_name: str) -> None:
    """Answers ``--help``, and refuses what no job of the command line could run; else returns.

    ``config_name``: config or train.
    """
    given = get_args_parser().parse_args()
    if given.help:
        with ended_with_its_reader():
            print(help_text(config_name, given.overrides))
        sys.exit(0)
    if given.cfg or given.info or given.hydra_help or given.shell_completion:
        return
    try:
        check_overrides(config_name, given.overrides, given.config_dir)
    except (ValueError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(_interrupted())


def check_overrides(config_name: str, overrides: Sequence[str], config_dir: str | None = None) -> None:
    """Composes the command line's first job, and each further value of a sweep in its place.

    What Hydra cannot parse is left to it.

    Raises:
        ValueError: for a key, a choice or a value that cannot be.
        FileNotFoundError: for photographs that are not there.
    """
    register()
    with initialize_config_module("nave.conf", version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        try:
            parsed = OverridesParser.create(config_loader=loader).parse_overrides([*overrides])
            jobs = _jobs(parsed)
        except HydraException:
            return
        folder = [] if config_dir is None else [f"hydra.searchpath=[file://{Path(config_dir).absolute()}]"]
        slurm = any("slurm" in override for override in overrides if override.startswith("hydra/launcher="))
        for job in jobs:
            _check_recipe(job, config_dir)
            check_values(_composed(config_name, [*folder, *job]), job, slurm)


def _jobs(parsed: Sequence[Override]) -> list[list[str]]:
    """The overrides of the first job, then of every job that differs from it in one value; without searches."""
    values = [_values(override) for override in parsed]
    values = [several for several in values if several]
    first = [several[0] for several in values]
    others = [
        [*first[:number], value, *first[number + 1 :]] for number, several in enumerate(values) for value in several[1:]
    ]
    return [first, *others]


def _values(override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        return []
    return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]


def _composed(config_name: str, overrides: Sequence[str]) -> DictConfig:
    try:
        return compose(config_name, overrides=[*overrides])
    except MissingConfigException as error:
        raise CommandLineError(_missing_choice(str(error))) from error
    except ConfigCompositionException as error:
        text = f"{error}\n{error.__cause__ or ''}"
        raise CommandLineError(_wrong_override(text, config_name, overrides)) from error
    except OmegaConfBaseException as error:
        raise CommandLineError(_lines(str(error))) from error


def _check_recipe(overrides: Sequence[str], config_dir: str | None) -> None:
    """Hydra passes over a recipe that is not there, as not every data set has one; a recipe asked for must exist."""
    for choice in [one.partition("=")[2] for one in overrides if one.startswith("recipe=")]:
        folders = [CONF, *([] if config_dir is None else [Path(config_dir)])]
        if not any((folder / "recipe" / f"{choice}.yaml").exists() for folder in folders):
            raise CommandLineError(_no_such_choice("recipe", choice))


def _missing_choice(text: str) -> str:
    found = re.search(r"Could not find '(?P<group>.+)/(?P<choice>[^/'\n]+)'", text)
    return _lines(text) if found is None else _no_such_choice(found["group"], found["choice"])


def _no_such_choice(group: str, choice: str) -> str:
    known = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"there is no {group}={choice}; choose one of {', '.join(known)}.{near(choice, known, f'{group}=')}"


def _wrong_override(text: str, config_name: str, overrides: Sequence[str]) -> str:
    """A sentence for an error of Hydra about one override."""
    found = re.search(r"Could not (?:override|delete from|delete) '(?:config\.)?(?P<key>[^']+)'", text)
    if found is None:
        return _lines(text)
    key = found["key"]
    given = next((one for one in overrides if one.lstrip("+~").partition("=")[0] == key), key)
    group, _, option = key.partition(".")
    if having := _choices_with(group, option):
        meant = f"{group}={'folder' if 'folder' in having else having[0]} {given}"
        return f"{given} belongs to {group}={', '.join(having)}, and none of them is chosen. Did you mean {meant}?"
    groups = [path.relative_to(CONF).as_posix() for path in CONF.rglob("*") if path.is_dir()]
    choices = [one for one in overrides if one.partition("=")[0] in (*groups, "hydra.searchpath")]
    chosen = "".join(f" {one}" for one in choices if one.startswith(f"{group}="))
    known = [*_known_keys(config_name, choices), *groups]
    return f"there is no key {key} ({given}); --help{chosen} lists all.{near(key, known)}"


def _choices_with(group: str, option: str) -> list[str]:
    """The choices of a group that have a key."""
    files = sorted((CONF / group).glob("*.yaml")) if option and "/" not in group else []
    return [path.stem for path in files if option in (yaml.safe_load(path.read_text(encoding="utf-8")) or {})]


def _known_keys(config_name: str, choices: Sequence[str]) -> list[str]:
    """Keys of a configuration under these choices, with dots."""
    keys = _dotted(OmegaConf.to_container(compose(config_name, overrides=[*choices]), resolve=False))
    return [key for key in keys if not key.rpartition(".")[2].startswith("_")]


def _dotted(node: Any, above: str = "") -> Iterator[str]:
    for key, value in node.items():
        yield f"{above}{key}"
        if isinstance(value, dict):
            yield from _dotted(value, f"{above}{key}.")


def _lines(text: str) -> str:
    """A message of Hydra or OmegaConf without its notes to developers."""
    lines = [
        line for line in text.splitlines() if not line.lstrip().startswith(("full_key", "object_type", "reference"))
    ]
    return "\n".join(line for line in lines if line.strip())


def with_quoting_hint(main: Callable[[], Any]) -> Callable[[], Any]:
    """``main`` of Hydra, which says how to quote where Hydra cannot read an override, such as ``data.root=a=b``."""

    @wraps(main)
    def command() -> Any:
        try:
            return main()
        except KeyboardInterrupt:
            sys.exit(_interrupted())
        except SystemExit:
            for override in filter(_is_unreadable, sys.argv[1:]):
                print(f"Quote the value, for Hydra and for the shell: {shlex.quote(quoted(override))}", file=sys.stderr)
            raise

    return command


def _interrupted() -> int:
    print("interrupted before the work began", file=sys.stderr)
    return 128 + signal.SIGINT


def quoted(override: str) -> str:
    """``key="value"``, in which Hydra's grammar takes every character of the value as it is."""
    key, _, value = override.partition("=")
    return '{}="{}"'.format(key, value.replace('"', '\\"'))


def _is_unreadable(override: str) -> bool:
    """Whether Hydra's grammar refuses an override, or takes it for several values where one is wanted."""
    if override.startswith("-") or "=" not in override:
        return False
    try:
        several = OverridesParser.create().parse_override(override).is_sweep_override()
    except HydraException:
        return True
    return several and not {"-m", "--multirun"} & set(sys.argv)
