"""Encoders that ``nave.train`` made: tensors in a safetensors file, with a card that says what they were made of."""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import safetensors
from safetensors import SafetensorError

from nave.weights.error import WeightsError

ENCODERS = Path("outputs/encoders")  # where names are looked up, under the working directory
SUFFIX = ".safetensors"
CARD = "nave"  # the one key of the file's metadata: their order is not kept, so one keeps the bytes the same

Card = dict[str, Any]


def trained_file(training: str, schemes: Mapping[str, str]) -> Path | None:
    """The file that ``training`` means: a path, or a name in ENCODERS; None where it is one of ``schemes``, or nothing.

    A scheme comes before an encoder of the same name.
    """
    if training in schemes:
        return None
    path = Path(training) if training.endswith(SUFFIX) else ENCODERS / f"{training}{SUFFIX}"
    return path if path.is_file() or training.endswith(SUFFIX) else None


def read_card(path: Path) -> Card:
    """Raises WeightsError for a file that is not there, is no safetensors file, or has no card."""
    if not path.is_file():
        raise WeightsError(f"there is no trained encoder {path.absolute()}{_close(path)}")
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}); train it again") from error
    if CARD not in metadata:
        raise WeightsError(
            f"{path} has no card, so nave.train did not make it; to explain it: training=random weights={path}"
        )
    card: Card = json.loads(metadata[CARD])
    return card


def check_fits(card: Mapping[str, Any], path: Path, model: str, architectures: set[str]) -> None:
    """Raises WeightsError unless the card's architecture is one of those that the model file names."""
    if card["architecture"] not in architectures:
        raise WeightsError(
            f"{path} is an encoder of model={card['model']} ({card['architecture']}), not of model={model} "
            f"({', '.join(sorted(architectures))}): choose model={card['model']}, or another training"
        )


def trained_names() -> list[str]:
    """What ENCODERS has, by name."""
    return sorted(path.name.removesuffix(SUFFIX) for path in ENCODERS.glob(f"*{SUFFIX}"))


def _close(path: Path) -> str:
    there = [other.name for other in path.parent.glob(f"*{SUFFIX}")]
    close = get_close_matches(path.name, there, n=1)
    return f". Did you mean {path.parent / close[0]}?" if close else "; python -m nave.train makes one"
