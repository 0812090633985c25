"""Pages and pictures of results."""

from lipc.reports.report import Report, open_report, report_of

__all__ = ["Report", "open_report", "report_of"]
