"""Loads a file's tensors into a timm network: all that it needs, or an error."""

import logging
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from nave.weights.file import WeightsError
from nave.weights.fit import Fit, first, fit, required_count
from nave.weights.tensor_sets import TensorSet, largest

log = logging.getLogger(__name__)

Resampled = dict[str, tuple[list[int], list[int]]]  # name of a position embedding -> shape in the file, in the network


def load_best(
    model: nn.Module, sets: Sequence[TensorSet], source: str, key: str | None = None
) -> tuple[str, Resampled]:
    """Loads the set of tensors that fits a timm network best, in place.

    Sets are the containers of the file and whatever shares a prefix in one of them. Of several that fit completely,
    averaged weights and teachers come first, students and momentum encoders last. The log names the others.

    timm's filter of the architecture is applied first: it renames the tensors of original releases and resamples
    position embeddings to the network's grid. It would also resample the kernel of the patch embedding, which is
    refused: that is another network. Only the classification head may be missing or differ, and what only a training
    needs, such as a decoder, may lie beside the network.

    Args:
        source: name of the weights in errors.
        key: of containers or prefixes, to choose among several sets, such as ``teacher``.

    Returns:
        The name of the set, empty for tensors that are not wrapped, and the position embeddings that were resampled.

    Raises:
        WeightsError: if a tensor is missing, unexpected, of another shape or not finite; the network is then unchanged.
    """
    fits = [fit(model, one) for one in largest(sets, required_count(model) // 2)]
    chosen = _chosen(fits, source, key)
    if not chosen.complete:
        raise WeightsError(_message(model, source, chosen))
    _check_finite(chosen.own, chosen.matching, source)
    _tell(chosen, fits, source)
    model.load_state_dict(chosen.matching, strict=False)
    resampled = {name: chosen.computed[name] for name in chosen.matching if name in chosen.computed}
    shapes = {name: (list(before.shape), list(chosen.own[name].shape)) for name, before in resampled.items()}
    return chosen.source.name, shapes


def _chosen(fits: Sequence[Fit], source: str, key: str | None) -> Fit:
    called = [one for one in fits if key is None or one.source.is_called(key)]
    if not called:
        best = sorted(fits, key=_preference)
        names = list(dict.fromkeys(one.source.name for one in best if one.source.place and one.fitting))
        raise WeightsError(f"weights_key={key}: nothing of that name in {source}; it has {', '.join(names) or 'none'}")
    return min(called, key=_preference)


def _preference(one: Fit) -> tuple[bool, int, int, int]:
    return not one.complete, -one.fitting, one.source.rank, len(one.mismatches["unexpected"])


def _tell(chosen: Fit, fits: Sequence[Fit], source: str) -> None:
    """Names what else the file holds: other sets that fit, and what lies beside the network."""
    seen, others = [_memory(chosen)], list[TensorSet]()
    for one in sorted(fits, key=_preference):
        if one.complete and (memory := _memory(one)) not in seen:
            seen.append(memory)
            others.append(one.source)
    if others:
        names = ", ".join(one.name or "the tensors outside" for one in others)
        cure = next((f"; weights_key={one.name} takes another" for one in others if one.name), "")
        log.info("%s: %s is taken, and %s would fit too%s", source, chosen.source.name or "the outer set", names, cure)
    if chosen.left_out:
        log.info("%s: left out, as it lies beside the network: %s", source, ", ".join(chosen.left_out))


def _memory(one: Fit) -> frozenset[int]:
    """Where the tensors lie, by which sets are the same whose names differ in a prefix that timm removes too."""
    return frozenset(tensor.data_ptr() for tensor in one.matching.values())


def _check_finite(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    """Refuses NaN and infinite numbers, also those that only appear in the precision of the network."""
    values = {name: tensor.to(own[name].dtype) for name, tensor in given.items() if not own[name].is_meta}
    bad = [name for name, tensor in values.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise WeightsError(
            f"the weights ({source}) hold NaN or infinite numbers in {len(bad)} of {len(given)} tensors "
            f"({first(bad)}): get them again, or choose other weights"
        )


def _message(model: nn.Module, source: str, best: Fit) -> str:
    architecture = getattr(model, "pretrained_cfg", {}).get("architecture") or type(model).__name__
    return (
        f"the weights ({source}) are not those of {architecture}: {best.described(architecture)}. "
        f"Choose the model that they were saved from, or other weights."
    )
