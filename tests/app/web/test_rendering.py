"""Figures for people."""

import pytest

from app.web.rendering import number, size


@pytest.mark.parametrize(
    ("n_bytes", "told"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 kB"),
        (64 << 20, "64 MB"),
        (200 << 20, "200 MB"),
        (5 << 40, "5120 GB"),
    ],
)
def test_sizes_are_told_in_units_of_1024(n_bytes, told):
    assert size(n_bytes) == told


@pytest.mark.parametrize(("value", "told"), [(0.70149, "0.701"), (12.345, "12.3"), (1234.5, "1,234"), (0, "0")])
def test_scores_have_three_digits(value, told):
    assert number(value) == told
