"""``snakemake --logger bench``: what runs, how far it is and what is left, in place of pages of file lists.

Snakemake finds the plugin by its name where this folder is on PYTHONPATH, as ``make`` has it.
"""

from bench.cli.live import LogHandler

__all__ = ["LogHandler"]
