import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.statistics.multiplicity import holm

P = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_a_hand_worked_case():
    """Sorted 0.01, 0.02, 0.04 times 3, 2, 1, never falling."""
    assert holm([0.04, 0.01, 0.02]) == [pytest.approx(0.04), pytest.approx(0.03), pytest.approx(0.04)]
    assert holm([]) == []


@given(P, st.floats(0.001, 0.2))
def test_it_rejects_what_the_stepwise_procedure_rejects(p_values, alpha):
    rejected, order = set(), sorted(range(len(p_values)), key=lambda i: p_values[i])
    for rank, index in enumerate(order):
        if (len(p_values) - rank) * p_values[index] > alpha:
            break
        rejected.add(index)
    assert {i for i, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@given(P)
def test_adjusting_never_helps_and_keeps_the_order(p_values):
    adjusted = holm(p_values)
    assert all(q >= p for p, q in zip(p_values, adjusted, strict=True))
    by_p = sorted(range(len(p_values)), key=lambda i: (p_values[i], adjusted[i]))
    assert [adjusted[i] for i in by_p] == sorted(adjusted)
