"""Benchmarks of speed and memory: ``make bench``, or ``python -m nave.bench --growth``."""
