"""How named tensors fit a timm network."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from nave.weights.tensor_sets import TensorSet

SHOWN = 3  # tensors named in an error
POSITIONS = ("pos_embed", "patch_pos", "rel_pos", "relative_position", "attention_biases")  # timm's names for them
# first parts of names that only a training needs: decoders, projections, queues, the other network
BESIDE = re.compile(
    r"decoder|mask_token|queue|proj|predict|prototype|head|classifier|fc$|n_averaged$"
    r"|(student|teacher|momentum|target|online|ema)(_|$)"
)


@dataclass(frozen=True, eq=False)
class Fit:
    """A set of tensors beside a network's own.

    Attributes:
        head: the first part of the classifier's name, whose tensors are optional.
        converted: the set after timm's filter of the architecture.
    """

    source: TensorSet
    own: Mapping[str, Tensor]
    head: str
    converted: Mapping[str, Tensor]

    @cached_property
    def computed(self) -> dict[str, Tensor]:
        """The originals of the tensors that the filter did not just rename or reshape."""
        return _computed(self.source.tensors, self.converted)

    @cached_property
    def given(self) -> dict[str, Tensor]:
        """The tensors by the network's names, as they would be loaded."""
        return {
            name: tensor if is_position(name) else self.computed.get(name, tensor)
            for name, tensor in self.converted.items()
        }

    @property
    def matching(self) -> dict[str, Tensor]:
        """The tensors that can be loaded, the head's too."""
        own, given = self.own, self.given
        return {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}

    @cached_property
    def required(self) -> list[str]:
        """Names that must be there."""
        return [name for name in self.own if not _optional(name, self.head)]

    @cached_property
    def mismatches(self) -> dict[str, list[str]]:
        """Names of the tensors that do not fit, by the reason."""
        own, given = self.own, self.given
        return {
            "missing": [name for name in self.required if name not in given],
            "unexpected": [name for name in given if name not in own and not self._may_be_left(name)],
            "of another shape": [
                f"{name} {tuple(given[name].shape)} for {tuple(own[name].shape)}"
                for name in self.required
                if name in given and given[name].shape != own[name].shape
            ],
        }

    @property
    def fitting(self) -> int:
        """Number of the required tensors that are there and of the right shape."""
        return len(self.required) - len(self.mismatches["missing"]) - len(self.mismatches["of another shape"])

    @property
    def complete(self) -> bool:
        """Whether all fits, and nothing is left that could belong to another network."""
        return not any(self.mismatches.values())

    @property
    def left_out(self) -> list[str]:
        """First parts of the names beside the network, such as ``decoder_blocks``."""
        beside = (name.partition(".")[0] for name in self.given if name not in self.own)
        return [part for part in dict.fromkeys(beside) if part != self.head]

    def described(self, architecture: str) -> str:
        """``prefix 'module.encoder_q.' fits 101 of 120 tensors of resnet18; 19 missing (…)``."""
        parts = [f"{len(names)} {kind} ({first(names)})" for kind, names in self.mismatches.items() if names]
        name = f"prefix {f'{self.source.name}.'!r} fits" if self.source.place else "the file fits"
        return f"{name} {self.fitting} of {len(self.required)} tensors of {architecture}; {'; '.join(parts)}"

    def _may_be_left(self, name: str) -> bool:
        first_part = name.partition(".")[0]
        own = any(other.partition(".")[0] == first_part for other in self.own)
        return _optional(name, self.head) or (not own and bool(BESIDE.match(first_part)))


def fit(model: nn.Module, tensors: TensorSet) -> Fit:
    """Compares a set of tensors with a network, after timm's filter of the architecture."""
    return Fit(tensors, model.state_dict(), _head(model), _filtered(model, tensors.tensors))


def required_count(model: nn.Module) -> int:
    """Number of the tensors that a network needs, without its head."""
    return sum(not _optional(name, _head(model)) for name in model.state_dict())


def is_position(name: str) -> bool:
    """Whether a tensor depends on the grid, so that timm may resample it."""
    return any(part in name for part in POSITIONS)


def first(names: Sequence[str]) -> str:
    """The first names, in an error."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _computed(state_dict: Mapping[str, Tensor], converted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The originals of the tensors that the filter did not just rename or reshape, by their name after the filter.

    A tensor of the same name must keep its number of elements, and a position embedding of the same shape its values.
    A kernel under another name must have the number of elements of some tensor in the file.
    """
    sizes = {tensor.numel() for tensor in state_dict.values()}
    originals: dict[str, Tensor] = {}
    for name, tensor in converted.items():
        before = state_dict.get(name)
        if before is not None:
            same = before.numel() == tensor.numel()
            has_values = not (before.is_meta or tensor.is_meta) and before.shape == tensor.shape
            if not same or (is_position(name) and has_values and not torch.equal(before, tensor)):
                originals[name] = before
        elif tensor.ndim >= 4 and tensor.numel() not in sizes:
            kernels = (t for t in state_dict.values() if t.ndim == tensor.ndim and t.shape[:2] == tensor.shape[:2])
            originals[name] = next(kernels, tensor[:0])
    return originals


@torch.no_grad()
def _filtered(model: nn.Module, state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors after timm's private ``checkpoint_filter_fn``, found in the module of the network's class."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(state_dict)
    try:
        converted: dict[str, Tensor] = convert(dict(state_dict), model)
    except (KeyError, AttributeError, IndexError, RuntimeError, ValueError, AssertionError):
        return dict(state_dict)  # tensors of another network: the comparison reports them
    return converted


def _head(model: nn.Module) -> str:
    """The first part of the classifier's name: ``head`` for ``head.fc``."""
    name: str = getattr(model, "pretrained_cfg", {}).get("classifier") or "head"
    return name.partition(".")[0]


def _optional(name: str, head: str) -> bool:
    return name.startswith(f"{head}.") or name.endswith("num_batches_tracked")
