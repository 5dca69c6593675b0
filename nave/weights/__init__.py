"""An encoder's weights: from the model hub, a Python package, a file, ``nave.train``, or random."""

from nave.weights.checkpoint import Checkpoint, load_checkpoint
from nave.weights.file import WeightsError
from nave.weights.load_state_dict import load_state_dict

__all__ = ["Checkpoint", "WeightsError", "load_checkpoint", "load_state_dict"]
