"""The encoder's blocks through ``torch.compile``: ``compile=true``."""

import os
import shutil
from collections.abc import Sequence

import torch
from torch import nn

from nave.hooks import stages


def compile_stages(network: nn.Module, layers: Sequence[str]) -> list[str]:
    """Compiles the blocks that an index counts, each on its own, when it is first called; their names.

    Hooks on blocks stay outside of what is compiled. A block that holds one of ``layers`` inside is left as it is, for
    a compiled one does not call the hooks of its parts.

    Raises:
        RuntimeError: if the machine has no C++ compiler, which torch's Inductor needs.
    """
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise RuntimeError(
            f"compile=true needs a C++ compiler, and there is no {compiler!r} here: install g++, set CXX, or leave "
            "compile=false"
        )
    chosen = [stage for stage in stages(network) if not any(layer.startswith(f"{stage}.") for layer in layers)]
    for stage in chosen:
        module = network.get_submodule(stage)
        module.forward = torch.compile(module.forward)
    return chosen
