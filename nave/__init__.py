"""NAVE: what training put into a frozen vision encoder, seen through clusters of its activations."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nave.api import Result, explain

__all__ = ["Result", "explain"]


def __getattr__(name: str) -> Any:
    """``explain`` and ``Result``, loaded when asked for: the command line needs neither."""
    if name not in __all__:
        raise AttributeError(f"module 'nave' has no attribute {name!r}")
    import nave.api

    return getattr(nave.api, name)
