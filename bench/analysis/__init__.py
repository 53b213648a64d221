"""From measurements to statements: comparison, statistics, verdicts, audits, claims. Draws and renders nothing."""
