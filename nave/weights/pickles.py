"""Torch files of any content, read by torch's restricted unpickler: nothing that a pickle names is imported or run."""

import re
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pickle import UnpicklingError
from typing import IO, Any

import torch
from torch import Tensor

LEGACY_PICKLES = 5  # of a file before torch 1.6: magic number, protocol, system, content, keys of storages
# torch, of a class derived from dict; before 2.7 without the module
AS_MAPPING = re.compile(r"Can only SETITEMS? for .* but got <class '(.+)'>|'(.+)' object does not support item assign")


class Inert:
    """Stands for an object of a class that torch does not know, such as ``argparse.Namespace``; keeps its state."""

    def __new__(cls, *_: object, **__: object) -> "Inert":
        """Ignores what the class would be made from."""
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Keeps the state, whatever it is."""
        self.state = state


class InertMapping:
    """Stands for a class derived from dict, such as ``collections.defaultdict``: makes a plain one."""

    def __new__(cls, *_: object, **__: object) -> Any:
        """Ignores what the class would be made from."""
        return OrderedDict()


def read_torch(stream: IO[bytes]) -> object:
    """The content of a torch file on the CPU; whole modules as mappings of their tensors.

    Classes that torch's unpickler does not allow are replaced by :class:`Inert` ones of the same name, so their code
    is not even imported.

    Raises:
        Exception: whatever torch's reader raises, for damaged files and for pickles that call what no file needs.
    """
    stand_ins: dict[str, type] = dict.fromkeys(_unknown_globals(stream), Inert)
    while True:
        stream.seek(0)
        try:
            with torch.serialization.safe_globals([_named(name, kind) for name, kind in stand_ins.items()]):
                return torch.load(stream, map_location="cpu", weights_only=True)
        except (UnpicklingError, TypeError) as error:
            mappings = [name for name, kind in stand_ins.items() if kind is Inert and _is_meant(name, str(error))]
            if not mappings:
                raise
            stand_ins |= dict.fromkeys(mappings, InertMapping)


def _is_meant(name: str, error: str) -> bool:
    found = AS_MAPPING.search(error)
    return found is not None and name in (found[1], f"{name.rpartition('.')[0]}.{found[2]}")


def module_tensors(content: object) -> Mapping[str, Any] | None:
    """Parameters, buffers and submodules by name, of a whole module in the file; None for anything else."""
    state = getattr(content, "state", None) if isinstance(content, Inert) else None
    if not isinstance(state, Mapping) or not isinstance(state.get("_modules"), Mapping):
        return None
    own = {**state.get("_parameters", {}), **state.get("_buffers", {})}
    passing = state.get("_non_persistent_buffers_set") or ()
    tensors = {name: tensor for name, tensor in own.items() if isinstance(tensor, Tensor) and name not in passing}
    for name, module in state["_modules"].items():
        inside = module_tensors(module) or {}
        tensors |= {f"{name}.{key}": tensor for key, tensor in inside.items()}
    return tensors


def _unknown_globals(stream: IO[bytes]) -> set[str]:
    """The names in the file that torch's unpickler would refuse."""
    with suppress(ValueError):
        return set(torch.serialization.get_unsafe_globals_in_checkpoint(stream))
    stream.seek(0)  # no zip file
    allowed, found = set(torch._weights_only_unpickler._get_allowed_globals()), set[str]()
    for _ in range(LEGACY_PICKLES):
        found |= torch._weights_only_unpickler.get_globals_in_pkl(stream)
    return found - allowed


def _named(name: str, kind: type) -> type:
    module, _, own = name.rpartition(".")
    return type(own, (kind,), {"__module__": module, "__qualname__": own})
