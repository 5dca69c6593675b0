"""Benchmarks of speed and memory: ``make bench``, or ``python -m nave.bench --growth``; of a GPU: ``make gpu``."""
