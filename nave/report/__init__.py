"""The HTML report on runs: ``python -m nave.report outputs/…``."""

from nave.report.page import write_page, write_report

__all__ = ["write_page", "write_report"]
