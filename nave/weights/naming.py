"""What files of weights are called: by the stem, or by as much of the path as keeps several apart; where ours lie."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from nave.near_names import near

ENCODERS = Path("outputs/encoders")  # where names of trained encoders are looked up, in the working directory
SUFFIX = ".safetensors"
LISTED = 3  # encoders trained here, whose names are long


def file_name(path: str | Path | None, key: str | None = None, parts: int = 1, suffix: bool = False) -> str | None:
    """``seed1/last-teacher`` for ``/trained/seed1/last.pth``, its ``teacher``, and two parts.

    Args:
        key: chooses among the tensors in the file.
        parts: how many names of folders and the file, from the end.
    """
    if path is None:
        return None
    path = Path(path)
    name = "/".join([*path.parts[:-1], path.name if suffix else path.stem][-parts:]).lstrip("/")
    return f"{name}-{key.strip('.')}" if key else name


def apart(paths: Sequence[str | Path]) -> tuple[int, bool]:
    """The fewest ``parts``, and the ``suffix`` if need be, by which :func:`file_name` tells files apart.

    Names differ as names of folders too.
    """
    different = list(dict.fromkeys(map(Path, paths)))
    longest = max((len(path.parts) for path in different), default=1)
    choices = [(parts, suffix) for parts in range(1, longest + 1) for suffix in (False, True)]
    for parts, suffix in choices:
        names = {plain(str(file_name(path, None, parts, suffix))) for path in different}
        if len(names) == len(different):
            return parts, suffix
    return choices[-1]


def plain(name: str) -> str:
    """As part of the name of a folder."""
    return re.sub(r"[^\w.,=+-]+", "_", name)


def trained_names() -> list[str]:
    """The names of the encoders in ENCODERS, sorted."""
    return sorted(path.name.removesuffix(SUFFIX) for path in ENCODERS.glob(f"*{SUFFIX}"))


def no_such_training(chosen: str, training: str, schemes: Iterable[str]) -> str:
    """The error for a training that the ``chosen`` model (``model=NAME``) does not have: what there is instead."""
    known, trained = list(schemes), trained_names()
    more = f" and {len(trained) - LISTED} more" if len(trained) > LISTED else ""
    own = f", and of {ENCODERS} {', '.join(trained[:LISTED])}{more}" if trained else ""
    hint = near(training, [*known, *trained], "training=")
    return f"{chosen} has no training={training}; it has {', '.join(known)}{own}.{hint}"
