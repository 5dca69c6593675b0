"""The HTML report on runs: ``python -m nave.report outputs/…``."""
