"""Frozen networks and the activations of their layers."""
