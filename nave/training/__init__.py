"""Trains encoders that are to be explained: data, schemes, schedule, and the file with its card."""
