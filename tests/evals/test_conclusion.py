import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.records import Outcome
from evals.conclusion import Conclusion, concluded

OUTCOMES = st.lists(st.sampled_from(list(Outcome)), max_size=6)


def test_each_word_has_its_own_exit_code_and_two_stays_free_for_wrong_use():
    codes = {c.word: c.exit_code for c in Conclusion}
    assert codes == {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3, "INFRASTRUCTURE": 4}


@given(OUTCOMES)
def test_it_passes_only_when_every_gate_does_and_fails_when_any_does(outcomes):
    found = concluded(outcomes, error_share=0.0, max_error_share=0.05)
    assert (found is Conclusion.PASS) == (bool(outcomes) and set(outcomes) == {Outcome.PASS})
    assert (found is Conclusion.FAIL) == (Outcome.FAIL in outcomes)


@given(OUTCOMES, st.floats(0, 1))
@pytest.mark.slow
def test_errors_are_never_scores(outcomes, share):
    found = concluded(outcomes, error_share=share, max_error_share=0.05)
    assert (found is Conclusion.INFRASTRUCTURE) == (share > 0.05)
    assert (found.outcome is None) == (found is Conclusion.INFRASTRUCTURE)
