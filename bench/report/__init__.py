"""The report: what analysis found, rendered as figures, tables, pages and exports."""
