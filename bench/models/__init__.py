"""Networks and distributions; they know nothing of papers, files or the workflow."""
