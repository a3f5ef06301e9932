"""The page that a laboratory ends with: one file, to look at and to send to others."""

from .findings import Figure, Findings, Table, Verdict
from .page import write_report

__all__ = ["Figure", "Findings", "Table", "Verdict", "write_report"]
