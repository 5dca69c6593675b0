"""Activations of several layers, upsampled and concatenated: the points that k-means clusters."""
