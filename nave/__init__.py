"""NAVE: what training put into a frozen vision encoder, seen through clusters of its activations.

The public names are those of ``__all__``; they are loaded when they are asked for, since the command line needs none.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nave.api import LoadedExplainer, Result, coloured, explain, load

__all__ = ["LoadedExplainer", "Result", "coloured", "explain", "load"]


if not Path(__file__).with_name("conf").is_dir():  # a checkout keeps conf/ at its top, where a wheel has nave/conf
    _conf = spec_from_file_location("nave.conf", Path(__file__).parents[1] / "conf" / "__init__.py")
    assert _conf is not None
    sys.modules["nave.conf"] = module_from_spec(_conf)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'nave' has no attribute {name!r}")
    return getattr(import_module("nave.api"), name)
