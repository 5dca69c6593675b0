"""Clustering of every image's composite: one file per engine."""
