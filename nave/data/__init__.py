"""Images and their ground truth: one file per data set, and the Lightning data module."""
