"""The report: from run folders and the plan to a static site that sets each number beside the printed one."""

from bench.report.site import build_report

__all__ = ["build_report"]
