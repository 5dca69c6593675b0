"""Visualisation: overlays, palettes, tables in a terminal and the progress bar."""
