"""Activations of several layers, upsampled and concatenated: the points that k-means clusters."""

from nave.composite.composer import Composer
from nave.composite.composite import Composite

__all__ = ["Composer", "Composite"]
