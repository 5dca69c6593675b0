"""The sets of named tensors in a file: containers such as ``teacher``, and prefixes such as ``module.encoder_q.``."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from nave.weights.pickles import module_tensors

# torch.compile, FSDP and activation checkpoints put these into names, also in their middle
WRAPPERS = re.compile(r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
AVERAGED = re.compile(r"(^|_)(ema|teacher|averaged?|swa)(_|$)")
BEHIND = re.compile(r"(^|_)(student|momentum|target|key|k)(_|$)")


@dataclass(frozen=True)
class TensorSet:
    """Some named tensors of a file.

    Attributes:
        place: keys of containers and parts of the prefix that lead to them: ``("teacher", "module", "backbone")``.
    """

    place: tuple[str, ...]
    tensors: Mapping[str, Tensor]

    @property
    def name(self) -> str:
        """The place in one word, ``teacher.module.backbone``; empty for tensors that are not wrapped."""
        return ".".join(self.place)

    @property
    def rank(self) -> int:
        """0 for averaged weights and teachers, 1 for plain ones, 2 for students and the momentum encoders of MoCo.

        That is the order in which authors evaluate them.
        """
        if any(AVERAGED.search(part) for part in self.place):
            return 0
        return 2 if any(BEHIND.search(part) for part in self.place) else 1

    def is_called(self, key: str) -> bool:
        """Whether ``key``, such as ``teacher`` or ``encoder_q``, is some of the parts of the place."""
        parts = tuple(key.strip(".").split("."))
        return any(self.place[start : start + len(parts)] == parts for start in range(len(self.place)))


def tensor_sets(content: object, place: tuple[str, ...] = (), seen: set[int] | None = None) -> Iterator[TensorSet]:
    """The tensors of a file by their container, the outer ones first; each container once, even if it holds itself."""
    seen = set() if seen is None else seen
    if id(content) in seen:
        return
    seen.add(id(content))
    content = content if isinstance(content, Mapping) else module_tensors(content)
    if content is None:
        return
    named = {name: value for name, value in content.items() if isinstance(name, str)}
    tensors = {WRAPPERS.sub("", name): value for name, value in named.items() if isinstance(value, Tensor)}
    if tensors:
        yield TensorSet(place, tensors)
    for name, value in named.items():
        if not isinstance(value, Tensor):
            yield from tensor_sets(value, (*place, name), seen)


def by_prefix(given: TensorSet, fewest: int) -> Iterator[TensorSet]:
    """The set itself, and what is left of it under every prefix of at least ``fewest`` names."""
    yield given
    paths = (accumulate(name.split(".")[:-1], lambda left, right: f"{left}.{right}") for name in given.tensors)
    counts = Counter(prefix for path in paths for prefix in path)
    for prefix in (prefix for prefix, count in counts.items() if count >= fewest):
        start = f"{prefix}."
        inside = {name.removeprefix(start): value for name, value in given.tensors.items() if name.startswith(start)}
        yield TensorSet((*given.place, *prefix.split(".")), inside)


def largest(sets: Sequence[TensorSet], fewest: int) -> list[TensorSet]:
    """The sets and their prefixes of at least ``fewest`` tensors; all sets if none is so large."""
    return [one for given in sets if len(given.tensors) >= fewest for one in by_prefix(given, fewest)] or list(sets)


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and values, sorted by name: independent of the file format."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
