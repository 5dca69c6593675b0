"""Which activations the peers look at: the tokens of the last layer, or the keys of its attention."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor


def check_features(features: str) -> None:
    """Raises ValueError for what is neither."""
    if features not in ("tokens", "keys"):
        raise ValueError(f"localization.features={features!r}: choose tokens or keys")


def layer_of(features: str, layers: Sequence[str]) -> list[str]:
    """The module to hook: the last of ``layers``, or inside it what gives queries, keys and values."""
    return [f"{layers[-1]}.attn.qkv" if features == "keys" else layers[-1]]


def taken(features: str, grid: Float[Tensor, "C h w"]) -> Float[Tensor, "N c"]:
    """One row a token, in raster order; keys (all heads) are the second third of timm's ``attn.qkv``."""
    if features == "keys":
        grid = grid.chunk(3)[1]
    return grid.flatten(1).T
