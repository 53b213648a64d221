"""Seeds derived from names, so that adding a system or a measurement moves no other number."""

from __future__ import annotations

import hashlib


def derive_seed(*names: object) -> int:
    """A 63-bit seed from a sequence of names, by sha256: stable over processes and versions.

    ``derive_seed("batches", "ptb", 0, epoch)``: each purpose names itself first.
    """
    text = "\x1f".join(str(name) for name in names)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
