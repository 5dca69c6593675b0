"""Where an encoder's numbers come from: a package, the model hub, a file, or nowhere (random)."""

from nave.weights.checkpoint import Checkpoint, load_checkpoint
from nave.weights.error import WeightsError
from nave.weights.into import load_into

__all__ = ["Checkpoint", "WeightsError", "load_checkpoint", "load_into"]
