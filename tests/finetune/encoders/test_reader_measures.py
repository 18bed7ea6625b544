import numpy as np
import pytest

from finetune.encoders.reader_measures import Read, reader_slope


def reads(slope, threshold, n=4000):
    """Rows whose spans are right with probability sigmoid(slope * (score - threshold))."""
    rng = np.random.default_rng(2)
    out = []
    for i in range(n):
        score = float(rng.normal(threshold, 3))
        is_right = rng.random() < 1 / (1 + np.exp(-slope * (score - threshold)))
        golds = ("oslo",) if is_right or i % 2 else ()
        out.append(Read(str(i), f"article {i % 20}", "oslo" if is_right else "lima", score, golds, "given"))
    return out


@pytest.mark.parametrize("slope", [0.3, 1.0, 2.0])
def test_the_slope_is_the_one_that_made_the_rows(slope):
    assert reader_slope(reads(slope, threshold=1.5), 1.5) == pytest.approx(slope, rel=0.1)


def test_rows_that_cannot_tell_leave_the_slope_at_one():
    assert reader_slope([], 0.0) == 1.0
    all_right = [Read("1", "a", "oslo", 2.0, ("oslo",), "given")] * 3
    assert reader_slope(all_right, 2.0) == 1.0
