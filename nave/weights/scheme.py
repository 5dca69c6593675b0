"""From the name of a training scheme to the place its weights come from."""

from collections.abc import Mapping
from difflib import get_close_matches

from nave.weights.error import WeightsError
from nave.weights.trained import ENCODERS, trained_names

RANDOM = "random"
PACKAGE = "package:"


def resolve(model: str, training: str, schemes: Mapping[str, str]) -> tuple[str, str]:
    """Follow aliases (`default: dino`) and return the scheme's own name and its place.

    A place is `random`, `package:NAME` or a timm name `architecture.tag`.
    Raises WeightsError for a scheme that the model does not have and for aliases that never end.
    """
    seen: list[str] = []
    while training not in seen:
        if training not in schemes:
            raise WeightsError(_unknown(model, training, schemes))
        place = schemes[training]
        if _is_place(place):
            return training, place
        seen.append(training)
        training = place
    raise WeightsError(f"model={model}: training schemes {' -> '.join([*seen, training])} only name each other")


def _is_place(text: str) -> bool:
    return text == RANDOM or text.startswith(PACKAGE) or "." in text


def _unknown(model: str, training: str, schemes: Mapping[str, str]) -> str:
    trained = trained_names()
    close = get_close_matches(training, [*schemes, *trained], n=1)
    hint = f" Did you mean training={close[0]}?" if close else ""
    own = f", and of {ENCODERS}: {', '.join(trained)}" if trained else ""
    return f"model={model} has no training={training!r}; it has: {', '.join(schemes)}{own}.{hint}"
