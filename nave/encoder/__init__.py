"""Frozen networks and the activations of their layers."""

from nave.encoder.encoder import Encoder
from nave.encoder.hooks import Activations, UnknownLayerError

__all__ = ["Activations", "Encoder", "UnknownLayerError"]
