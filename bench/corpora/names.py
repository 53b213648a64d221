"""Where a prepared corpus keeps each field and label: the names of its files and tensors."""

from __future__ import annotations

from bench.base.text_rules import TEXT

WHOLE = "whole.json"  # texts that were cut, as they were before: by split, field and number


def id_keys(split: str, field: str) -> tuple[str, str]:
    """The names of the ids and of the offsets of a field in ``ids.safetensors``."""
    stem = split if field == TEXT else f"{split}.{field}"
    return f"{stem}.tokens", f"{stem}.offsets"


def label_key(split: str, label: str) -> str:
    """The name of the classes of a label in ``ids.safetensors``."""
    return f"{split}:{label}"


def text_file(split: str, field: str) -> str:
    """The name of the file with the kept texts of a field."""
    return f"{split}.txt" if field == TEXT else f"{split}.{field}.txt"
