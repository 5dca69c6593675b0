"""The page a person looks at: ``python -m nave.report outputs/…``."""

from nave.report.page import write_page, write_report

__all__ = ["write_page", "write_report"]
