"""Speed and memory, measured: ``make bench``, or ``python -m nave.bench --growth``."""
