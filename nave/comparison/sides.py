"""The command line of a diff: what is compared, as the sweeps of ``nave.run`` that explain it."""

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser

from nave.command_line.overrides import quoted
from nave.config import CONF
from nave.weights.file import WeightsError
from nave.weights.naming import ENCODERS, SUFFIX
from nave.weights.schemes import Card, chosen, read_card

# of every diff, unless the command line says otherwise; the second seed tells how well equal encoders would agree
DEFAULTS = ("name=diff", "skip_existing=true", "stability=1")
PLAIN = re.compile(r"[\w./~@+:%-]+")  # values that Hydra takes as they are


@dataclass(frozen=True)
class Encoder:
    """One of the things that are compared: a file of weights, or an encoder made by ``nave.train``."""

    network: str  # overrides that choose it
    key: str  # weights or training
    value: str

    @property
    def override(self) -> str:
        """``weights=FILE`` or ``training=FILE`` for Hydra."""
        return plain(self.key, self.value)


def sweeps(arguments: Sequence[str]) -> list[list[str]]:
    """The overrides of one multirun for each group of encoders that differ in one key; most often a single one.

    Args:
        arguments: Files of weights and overrides. A single ``training=`` with snapshots stands for all its steps.

    Raises:
        FileNotFoundError: for an argument that is neither an override nor a file.
        ValueError: if there is nothing to compare, or no network is named for a file; the message gives the cure.
    """
    files = [argument for argument in arguments if "=" not in argument or Path(argument).is_file()]
    overrides = [argument for argument in arguments if argument not in files]
    if missing := [name for name in files if not Path(name).is_file()]:
        raise FileNotFoundError(f"{missing[0]} is neither a file of weights, the folder of a run, nor key=value")
    common = [*_defaults(overrides), *(override for override in overrides if not override.startswith("model="))]
    if files:
        grouped = _grouped(_of_files(files, _values(overrides, "model")))
        if len(files) < 2 and not _sweeps(overrides):
            raise ValueError("one file: name two or more, or what to compare it with")
        return [[*group, *common] for group in grouped]
    return [_of_training(overrides, common)]


def _of_training(overrides: Sequence[str], common: Sequence[str]) -> list[str]:
    models, trainings = _values(overrides, "model"), _values(overrides, "training")
    steps = snapshots(trainings[0]) if len(trainings) == 1 else []
    if len(steps) < 2:
        if not _sweeps(overrides):
            why = f"training={trainings[0]} has no snapshots (nave.train snapshots=[0,1,5]): " if trainings else ""
            raise ValueError(
                f"nothing to compare: {why}name two files or more, model=A,B, training=a,b, a training with snapshots, "
                "or the folders of finished runs"
            )
        return [*(override for override in overrides if override.startswith("model=")), *common]
    card = read_card(steps[-1])
    rest = [override for override in common if not override.startswith("training=")]
    values = ",".join(plain("training", str(path)).partition("=")[2] for path in steps)
    network = f"model={models[0]}" if models else chosen(card["model"])
    return [*network.split(), f"training={values}", *rest]


def snapshots(training: str) -> list[Path]:
    """The encoders of one training in order of their steps, the final one last; equal ones once."""
    final = Path(training) if training.endswith(SUFFIX) else ENCODERS / f"{training}{SUFFIX}"
    if not final.is_file() and (beside := Path(f"{training}{SUFFIX}")).is_file():
        final = beside  # training=FOLDER/NAME
    if not final.is_file():
        return []
    name = re.compile(re.escape(final.name.removesuffix(SUFFIX)) + r"-(epoch|step)\d+" + re.escape(SUFFIX))
    found = [path for path in final.parent.iterdir() if name.fullmatch(path.name)]
    found.sort(key=lambda path: "-epoch" in path.name)
    by_steps = {_steps(path): path for path in [*found, final]}  # the later of equal ones stays
    return [path for _, path in sorted(by_steps.items())]


def _steps(path: Path) -> int:
    """The number of optimiser steps after which an encoder was written."""
    steps = read_card(path).get("steps")
    if not isinstance(steps, int):
        raise TypeError(f"the card of {path} does not say after how many steps it was written: train it again")
    return steps


def _of_files(files: Sequence[str], models: Sequence[str]) -> list[Encoder]:
    cards = [_card(Path(file)) for file in files]
    if len(models) > 1 and len(models) != len(files):
        raise ValueError(f"model={','.join(models)}: name one network, or one for each of {len(files)} files")
    named = list(models) * len(files) if len(models) < 2 else list(models)
    encoders = []
    for number, (file, card) in enumerate(zip(files, cards, strict=True)):
        if not named and card is None:
            choices = ", ".join(sorted(path.stem for path in CONF.glob("model/*.yaml")))
            raise ValueError(f"{file} does not say which network it belongs to: add model=NAME ({choices})")
        network = chosen(card["model"]) if card and not named else f"model={named[number]}"
        encoders.append(Encoder(network, "training" if card else "weights", file))
    return encoders


def _card(path: Path) -> Card | None:
    """The card of an encoder made by ``nave.train``; None for another file."""
    try:
        return read_card(path) if path.suffix == SUFFIX else None
    except WeightsError:
        return None


def _grouped(encoders: Sequence[Encoder]) -> list[list[str]]:
    groups: dict[tuple[str, str], list[str]] = {}
    for encoder in encoders:
        groups.setdefault((encoder.network, encoder.key), []).append(encoder.override.partition("=")[2])
    return [[*network.split(), f"{key}={','.join(values)}"] for (network, key), values in groups.items()]


def plain(key: str, value: str) -> str:
    """``key=value`` for Hydra, quoted where it needs to be."""
    return f"{key}={value}" if PLAIN.fullmatch(value) else quoted(f"{key}={value}")


def _defaults(overrides: Sequence[str]) -> list[str]:
    keys = [override.lstrip("+").partition("=")[0] for override in overrides]
    folder = ["data=folder"] if "data.root" in keys and "data" not in keys else []
    return folder + [default for default in DEFAULTS if default.partition("=")[0] not in keys]


def _values(overrides: Sequence[str], key: str) -> list[str]:
    given = [override for override in overrides if override.startswith(f"{key}=")]
    if not given:
        return []
    parsed = OverridesParser.create().parse_override(given[-1])
    return (
        [str(value) for value in parsed.sweep_string_iterator()]
        if parsed.is_sweep_override()
        else [str(parsed.value())]
    )


def _sweeps(overrides: Sequence[str]) -> bool:
    """Whether another key than K has several values."""
    parsed = OverridesParser.create().parse_overrides([one for one in overrides if not one.startswith("k=")])
    return any(override.is_sweep_override() for override in parsed)


@contextmanager
def arguments(*given: str) -> Iterator[None]:
    """Within it the process has other arguments, from which Hydra reads those of a command."""
    before = sys.argv
    sys.argv = [before[0], *given]
    try:
        yield
    finally:
        sys.argv = before
