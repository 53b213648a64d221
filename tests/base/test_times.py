"""Times in words."""

from __future__ import annotations

import pytest

from bench.base.times import span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (100, "2 min"), (5_000, "83 min"), (9_000, "2.5 h"), (864_000, "10.0 days")],
)
def test_a_time_is_told_in_one_unit(seconds: float, text: str) -> None:
    assert span(seconds) == text
