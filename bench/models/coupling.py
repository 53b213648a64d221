"""Coupling: branches beside the main one, which share its embedding and its encoder."""

from __future__ import annotations

from bench.base.registry import part


@part("coupling", "twin")
class Twin:
    """A deterministic twin: all after the encoder is its own, and its code is the centre of its posterior."""
