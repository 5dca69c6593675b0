"""What the folders of runs and of trained encoders are called: by what was chosen for them."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nave.weights.naming import plain

UNSAID = ("name", "outputs", "skip_existing", "logger", "cache", "report")  # in no folder, as they change no result


def run_name(
    model: str, training: str, named: str | None, k: Any, overrides: Sequence[str], constant: Sequence[str]
) -> str:
    """``dino-layers=_-1_``: what a sweep varies, as a folder name that is unique within the sweep.

    ``vits14-default-k5`` where nothing varies. ``weights=`` is left out if ``named`` says which file it is.
    ``constant`` are keys of overrides that all jobs share.
    """
    ks = "+".join(str(value) for value in k) if isinstance(k, Sequence) and not isinstance(k, str) else k
    keys = {override: override.lstrip("+~").partition("=")[0] for override in overrides}
    varied = {override: key for override, key in keys.items() if key not in (*constant, *UNSAID)}
    sources = ("weights", "weights_key", "training_name") if named else ("training",)
    words = {model: ("model", "architecture"), named or training: sources, f"k{ks}": ("k",)}
    first = [word for word, said in words.items() if {*said} & {*varied.values()}]
    known = ("model", "architecture", "k", "training_name", *(() if named else ("training",)))
    others = sorted(one for one, key in varied.items() if key not in known and not _said(one, named or ""))
    return _short(plain("-".join([*first, *others] or words)))


def _said(override: str, named: str) -> bool:
    """Whether the name of a training says which file of weights, or which of its tensors, were chosen."""
    key, _, value = override.partition("=")
    stem = Path(value.strip("'\"")).stem if key == "weights" else value
    return key in ("weights", "weights_key") and stem in named


NAMED = ("model", "architecture", "data", "scheme", "seed")  # part of the name of an encoder anyway
UNNAMED = (
    *("name", "outputs", "logger", "snapshots", "snapshot_steps", "loader.num_workers"),
    *("data.root", "data.download"),
)
OWN = ("folder", "image_folder")  # data sets that only their data.root tells apart
UNNAMED_GROUPS = ("logger.", "trainer.", "hydra.", "hydra/")


def encoder_name(name: str | None, model: str, data: str, scheme: str, seed: int, overrides: Sequence[str]) -> str:
    """``resnet18-stl10-supervised-exclude_dog-seed0``: what was chosen, unless there is a ``name``.

    What does not change the weights, or says where things are, is left out; untrained weights know no data.
    """
    if name is not None:
        return name
    unnamed = [key for key in (*NAMED, *UNNAMED) if not (key == "data.root" and data in OWN)]
    others = [_plain(override) for override in sorted(overrides) if not _is(override, unnamed)]
    if scheme == "random":
        data, others = "", [other for other in others if other.startswith("model.")]
    chosen = filter(None, (model.rpartition("/")[2], data, scheme))
    return _short("-".join([*chosen, *others, f"seed{seed}"]))


def _is(override: str, keys: Sequence[str]) -> bool:
    key = override.lstrip("+~").partition("=")[0]
    return key in keys or key.startswith(UNNAMED_GROUPS)


def _plain(override: str) -> str:
    """``exclude=[dog,cat]`` as ``exclude_dog+cat``; of a file its name."""
    key, _, value = override.lstrip("+~").partition("=")
    plain = re.sub(r"[^\w.-]+", "+", value.rstrip("/").rpartition("/")[2].removesuffix(".safetensors")).strip("+")
    return f"{key}_{plain}"


def _short(name: str) -> str:
    """A name that file systems take: the end of a long one is a hash."""
    return name if len(name) <= 150 else f"{name[:140]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
