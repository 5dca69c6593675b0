"""What distinguishes the runs of a page: the keys of their configurations that differ."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nave.report.collect import Variant, k_order

SHORT = 3  # parts of a name that can be read in a heading
TOLD_OTHERWISE = (  # by other keys, or of no matter to a map
    *("model.", "composer.", "loader.", "trainer.", "logger.", "evaluation.", "localization.name"),
    *("name", "outputs", "skip_existing", "objective", "stability", "overlays", "photographs", "report"),
)


def distinguished(found: Sequence[Variant]) -> list[Variant]:
    """The variants with settings: model, training and K, then every key that differs, and where none does, the run.

    Runs keep their order, but those that differ in K alone stand together, by K.
    """
    flat = [_settings(variant) for variant in found]
    short = told_apart([one["training"] for one in flat])
    flat = [one | {"training": short[one["training"]]} for one in flat]
    differing = [key for key in dict.fromkeys(key for one in flat for key in one) if _varies(flat, key)]
    kept = ["model", "training", "k", *(key for key in differing if key not in ("model", "training", "k"))]
    chosen = [{key: one.get(key, "–") for key in kept} for one in flat]
    twice = Counter(tuple(one.values()) for one in chosen)
    if max(twice.values()) > 1:
        names = _short([variant.run.folder for variant in found])
        chosen = [one | {"run": name} for one, name in zip(chosen, names, strict=True)]
    named = [replace(variant, settings=one) for variant, one in zip(found, chosen, strict=True)]
    groups = list(dict.fromkeys(_without_k(variant) for variant in named))
    return sorted(named, key=lambda variant: (groups.index(_without_k(variant)), k_order(variant.k)))


def told_apart(trainings: Sequence[str]) -> dict[str, str]:
    """What differs between encoders whose names ``nave.train`` made of all that was chosen; other names as they are."""
    parts = {name: re.split(r"-(?=[A-Za-z])", name) for name in dict.fromkeys(trainings)}
    long = {name: some for name, some in parts.items() if len(some) > SHORT}
    common = set[str]().union(*long.values()).intersection(*long.values())
    own = {name: "-".join(part for part in some if part not in common) for name, some in long.items()}
    short = {name: own.get(name) or name for name in parts}
    return short if len(set(short.values())) == len(short) else {name: name for name in parts}


def _without_k(variant: Variant) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, value in variant.settings.items() if key != "k")


def axes(found: Sequence[Variant]) -> dict[str, list[str]]:
    """The settings with more than one value, and their values in a sensible order."""
    values = {key: list(dict.fromkeys(v.settings[key] for v in found)) for key in found[0].settings}
    values["k"].sort(key=k_order)
    return {key: some for key, some in values.items() if len(some) > 1}


def label(variant: Variant, keys: Sequence[str]) -> str:
    """``vits14 dino, layers -2 -1, K 5``: the given settings of one variant; K alone where none is given."""
    settings = variant.settings
    names = " ".join(settings[key] for key in ("model", "training") if key in keys)
    others = [f"{_plain(key)} {settings[key]}" for key in keys if key not in ("model", "training", "k")]
    number = [f"K {settings['k']}"] if "k" in keys or not keys else []
    return ", ".join([part for part in (names, *others) if part] + number)


def _plain(key: str) -> str:
    return key.removesuffix("._target_").replace("_", " ")


def _settings(variant: Variant) -> dict[str, str]:
    config, record = variant.run.record["config"], variant.run.record
    names = {"model": config["model"]["name"], "training": record.get("training", config["training"]), "k": variant.k}
    return names | {
        key: _text(value) for key, value in _flat(config) if key not in names and not key.startswith(TOLD_OTHERWISE)
    }


def _flat(node: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    leaves: list[tuple[str, Any]] = []
    for key, value in node.items():
        leaves += _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [(prefix + key, value)]
    return leaves


def _text(value: Any) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.rpartition(".")[2] if text.startswith("nave.") else text


def _varies(flat: Sequence[Mapping[str, str]], key: str) -> bool:
    """Among the runs that have the key: what one class of a group alone takes is told by the class."""
    return len({one[key] for one in flat if key in one}) > 1


def _short(folders: Sequence[Path]) -> list[str]:
    """The parts of the paths that differ, so that a page does not show where somebody's files lie."""
    parts = [folder.absolute().parts for folder in folders]
    common = 0
    while len({part[: common + 1] for part in parts}) == 1 and common < min(map(len, parts)) - 1:
        common += 1
    return ["/".join(part[common:]) for part in parts]
