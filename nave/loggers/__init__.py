"""Loggers of finished runs and of trainings: Weights & Biases, CSV, TensorBoard."""
