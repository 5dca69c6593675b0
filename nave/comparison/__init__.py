"""Comparison of encoders on the same images."""
