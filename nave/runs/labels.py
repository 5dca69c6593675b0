"""The settings that distinguish runs shown side by side: the keys in which their configurations differ."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from nave.runs.layout import k_order
from nave.runs.reader import RunAtK
from nave.runs.record import Record, flat, training_of
from nave.weights.naming import apart, file_name

DEFAULT = "default"  # the training that a model's file names so
DIGITS = 8  # of a file's hash, where nothing else tells trainings apart
LONGEST_NAME = 3  # parts of a name that fit into a heading
GROUPS = ("data", "composite", "clustering", "localization")
IGNORED = (  # shown under another key, or without effect on a map
    *("model.", "loader.", "trainer.", "logger.", "evaluation.", "localization.name"),
    *("weights", "training_name", "name", "outputs", "skip_existing", "objective"),
    *("stability", "concepts", "overlays", "photographs", "report"),
)


def distinguished(runs: Sequence[RunAtK]) -> list[RunAtK]:
    """Adds settings to the runs: model, training, K and every key that differs; the folder if no key does.

    Runs keep their order, except that runs which differ in K alone are grouped and sorted by K.
    """
    trainings = _trainings([run.run.record for run in runs])
    full = [_settings(run, training) for run, training in zip(runs, trainings, strict=True)]
    short = short_names([settings["training"] for settings in full])
    full = [settings | {"training": short[settings["training"]]} for settings in full]
    full = _with_one_default(runs, full)
    every = dict.fromkeys(key for settings in full for key in settings)
    differing = [key for key in every if _varies(full, key) and not _implied(full, key)]
    kept = ["model", "training", "k", *(key for key in differing if key not in ("model", "training", "k"))]
    chosen = [{key: settings.get(key, "–") for key in kept} for settings in full]
    if max(Counter(tuple(settings.values()) for settings in chosen).values()) > 1:
        names = _differing_parts([run.run.folder.path for run in runs])
        chosen = [settings | {"run": name} for settings, name in zip(chosen, names, strict=True)]
    named = [run.with_settings(settings) for run, settings in zip(runs, chosen, strict=True)]
    groups = list(dict.fromkeys(without_k(run) for run in named))
    return sorted(named, key=lambda run: (groups.index(without_k(run)), k_order(run.k)))


def short_names(trainings: Sequence[str]) -> dict[str, str]:
    """Shortens the long names that ``nave.train`` gives to encoders to the parts in which they differ.

    Short names, and names that would become ambiguous, stay as they are.
    """
    parts = {name: re.split(r"-(?=[A-Za-z])", name) for name in dict.fromkeys(trainings)}
    long = {name: words for name, words in parts.items() if len(words) > LONGEST_NAME}
    common = set[str]().union(*long.values()).intersection(*long.values())
    own = {name: "-".join(word for word in words if word not in common) for name, words in long.items()}
    short = {name: own.get(name) or name for name in parts}
    return short if len(set(short.values())) == len(short) else {name: name for name in parts}


def without_k(run: RunAtK) -> tuple[tuple[str, str], ...]:
    """The settings that the results of a run at its several K share."""
    return tuple((key, value) for key, value in run.settings.items() if key != "k")


def axes(runs: Sequence[RunAtK]) -> dict[str, list[str]]:
    """The settings that vary, with their values; K in order."""
    values = {key: list(dict.fromkeys(run.settings[key] for run in runs)) for key in runs[0].settings}
    values["k"].sort(key=k_order)
    return {key: different for key, different in values.items() if len(different) > 1}


def label(run: RunAtK, keys: Sequence[str]) -> str:
    """Names a run by the given settings, as ``vits14 dino, layers -2 -1, K 5``; by K alone if no key is given."""
    settings = run.settings
    names = " ".join(spelled(run, key) for key in ("model", "training") if key in keys)
    others = [
        f"{key.removeprefix('composite.').replace('_', ' ')} {settings[key]}"
        for key in keys
        if key not in ("model", "training", "k")
    ]
    number = [f"K {settings['k']}"] if "k" in keys or not keys else []
    return ", ".join([part for part in (names, *others) if part] + number)


def spelled(run: RunAtK, key: str) -> str:
    """The value of a setting for a reader: a default that models share with its name, ``default (imagenet1k)``."""
    value = run.settings[key]
    name = training_of(run.run.record)
    return f"{value} ({name})" if key == "training" and value == DEFAULT != name else value


def names_without_k(runs: Sequence[RunAtK]) -> list[str]:
    """Names each run by the settings that vary, without K."""
    keys = [key for key in axes(runs) if key != "k"] or ["model", "training"]
    return [label(run, keys) for run in runs]


def _with_one_default(runs: Sequence[RunAtK], full: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Calls the default training ``default`` where models have different ones, so that it is one value of one axis.

    A name stays where the default of one model has had two, or where a file took its place.
    """
    configs = [run.run.record["config"] for run in runs]
    asked = [config["training"] == DEFAULT and config.get("weights") is None for config in configs]
    names = {
        (settings["model"], settings["training"]) for settings, default in zip(full, asked, strict=True) if default
    }
    models, trainings = {model for model, _ in names}, {training for _, training in names}
    if len(trainings) < 2 or len(models) < len(names):
        return list(full)
    folded = {True: {"training": DEFAULT}, False: {}}
    return [settings | folded[default] for settings, default in zip(full, asked, strict=True)]


def _trainings(records: Sequence[Record]) -> list[str]:
    """What the trainings are called; a model's files of one name by more of their paths, or by the hash of the file."""
    keys = [(record["config"]["model"]["name"], training_of(record)) for record in records]
    files_of = defaultdict[tuple[str, str], dict[str | None, str | None]](dict)
    for key, record in zip(keys, records, strict=True):
        files_of[key].setdefault(record.get("weights_sha256"), record["config"].get("weights"))
    return [_named_apart(record, files_of[key]) for key, record in zip(keys, records, strict=True)]


def _named_apart(record: Record, files_of: Mapping[str | None, str | None]) -> str:
    """The name of a training if all of that name have one file; ``files_of`` are the paths by their hashes."""
    name, digest, config = training_of(record), record.get("weights_sha256"), record["config"]
    paths = [path for path in files_of.values() if path is not None]
    if len(files_of) == 1:
        return name
    if len(set(paths)) < len(files_of):
        return name if digest is None else f"{name} {digest[:DIGITS]}"
    return file_name(files_of[digest], config.get("weights_key"), *apart(paths)) or name


def _settings(run: RunAtK, training: str) -> dict[str, str]:
    config = run.run.record["config"]
    names = {"model": config["model"]["name"], "training": training, "k": run.k}
    chosen = {group: choice_of(group, node) for group, node in config.items() if group in GROUPS and node}
    others = {key: value for key, value in flat(config) if key not in names and not key.startswith(IGNORED)}
    return names | chosen | {key: _text(value) for key, value in others.items() if not key.endswith("._target_")}


def choice_of(group: str, node: Mapping[str, Any]) -> str:
    """The file of a group's folder that a node is made from: of those with its ``_target_`` the one most like it.

    The class itself for a choice from elsewhere.
    """
    alike = {name: values for name, values in _choices(group).items() if values.get("_target_") == node["_target_"]}
    shared = {name: sum(node.get(key) == value for key, value in values.items()) for name, values in alike.items()}
    return max(shared, key=shared.__getitem__, default=str(node["_target_"]).rpartition(".")[2])


@cache
def _choices(group: str) -> dict[str, dict[str, Any]]:
    files_of_group = sorted((Path(str(files("nave.conf"))) / group).glob("*.yaml"))
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files_of_group}


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _varies(settings: Sequence[Mapping[str, str]], key: str) -> bool:
    """Whether the runs that have the key differ in it; an option of a single class is implied by the class."""
    return len({values[key] for values in settings if key in values}) > 1


def _implied(settings: Sequence[Mapping[str, str]], key: str) -> bool:
    """Whether another setting says it already: the key of the run that it follows, or the choice of its group.

    A choice says it if that varies, and every value is the one in the file of its choice.
    """
    group, _, option = key.partition(".")
    if option and all(values.get(option) == values[key] for values in settings if key in values):
        return True
    if not option or group not in GROUPS or not _varies(settings, group):
        return False
    own = [(_choices(group).get(values[group], {}), values[key]) for values in settings if key in values]
    return all(option in written and _text(written[option]) == value for written, value in own)


def _differing_parts(folders: Sequence[Path]) -> list[str]:
    """The ends of the paths from where they differ, so that a report does not reveal the full paths."""
    parts = [folder.absolute().parts for folder in folders]
    common = 0
    while len({part[: common + 1] for part in parts}) == 1 and common < min(map(len, parts)) - 1:
        common += 1
    return ["/".join(part[common:]) for part in parts]
