"""The training schemes of a model, and the encoders trained by ``nave.train``."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypedDict

import safetensors
from safetensors import SafetensorError

from nave.near_names import near
from nave.strict_json import checked, from_json
from nave.weights.file import WeightsError
from nave.weights.naming import ENCODERS, SUFFIX, no_such_training

RANDOM = "random"
PACKAGE = "package:"
HUB = "hf-hub:"  # before the name of a repository, as timm has it
CARD = "nave"  # the only key of the file's metadata: safetensors does not keep their order, and bytes must repeat

Card = dict[str, Any]


class _Needed(TypedDict):
    architecture: str
    model: str
    name: str
    mean: list[float]
    std: list[float]


def trained_file(training: str, schemes: Mapping[str, str]) -> Path | None:
    """The file of a trained encoder: ``training`` is its path, or its name in ENCODERS.

    None if ``training`` is one of ``schemes``, which take precedence, or if there is no encoder of that name.
    """
    if training in schemes:
        return None
    path = Path(training) if training.endswith(SUFFIX) else ENCODERS / f"{training}{SUFFIX}"
    return path if path.is_file() or training.endswith(SUFFIX) else None


def read_card(path: Path) -> Card:
    """The card in the metadata of a trained encoder.

    Raises:
        WeightsError: if the file does not exist, is not a safetensors file, or has no card.
    """
    if not path.is_file():
        hint = near(path.name, (other.name for other in path.parent.glob(f"*{SUFFIX}")), f"{path.parent}/")
        more = f".{hint}" if hint else "; python -m nave.train makes one"
        raise WeightsError(f"there is no trained encoder {path.absolute()}{more}")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}); train it again") from error
    if CARD not in metadata:
        raise WeightsError(
            f"{path} has no card, so it was not made by nave.train; to explain it: training=random weights={path}"
        )
    try:
        card: Card = from_json(metadata[CARD], f"the card of {path}")
        checked(card, _Needed, f"the card of {path}", "train it again")
    except ValueError as error:
        raise WeightsError(str(error)) from error
    return card


def check_fits(card: Mapping[str, Any], path: Path, model: str, architectures: set[str]) -> None:
    """Raises WeightsError unless the card's architecture is one of ``architectures``, those of the model."""
    if card["architecture"] not in architectures:
        raise WeightsError(
            f"{path} is an encoder of {chosen(card['model'])} ({card['architecture']}), not of {chosen(model)} "
            f"({', '.join(sorted(architectures))}): choose {chosen(card['model'])}, or another training"
        )


def chosen(model: str) -> str:
    """What chooses a model on the command line: ``model=NAME``, or ``model=timm architecture=NAME``."""
    if (files("nave.conf") / "model" / f"{model}.yaml").is_file():
        return f"model={model}"
    import timm  # takes seconds, and models with a file need nothing of it

    known = model.startswith(HUB) or timm.is_model(model.partition(".")[0])
    return f"model=timm architecture={model}" if known else f"model={model}"


def resolve(model: str, training: str, schemes: Mapping[str, str]) -> tuple[str, str]:
    """Follows aliases such as ``default: dino``.

    Returns:
        The scheme's own name, and its place: ``random``, ``package:NAME`` or a timm name ``architecture.tag``.

    Raises:
        WeightsError: for a scheme that the model does not have, and for circular aliases.
    """
    seen: list[str] = []
    while training not in seen:
        if training not in schemes:
            raise WeightsError(no_such_training(chosen(model), training, schemes))
        place = schemes[training]
        if place == RANDOM or place.startswith((PACKAGE, HUB)) or "." in place:
            return training, place
        seen.append(training)
        training = place
    raise WeightsError(f"{chosen(model)}: training schemes {' -> '.join([*seen, training])} only name each other")


def encoder_path(folder: Path, suffix: str = "") -> Path:
    """``outputs/encoders/NAME<suffix>.safetensors`` for the training's folder ``outputs/encoders/NAME``."""
    return folder.parent / f"{folder.name}{suffix}{SUFFIX}"
