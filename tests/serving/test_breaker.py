import pytest

from serving.breaker import BreakerState, CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return CircuitBreaker(failures=3, rest_s=20, now=clock)


def failed(breaker, times=1):
    for _ in range(times):
        assert breaker.allows()
        breaker.failed()


def test_it_opens_after_the_failures_in_a_row_and_rests(breaker, clock):
    failed(breaker, 2)
    assert breaker.allows()
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    clock.now = 19.9
    assert not breaker.allows()


def test_a_success_in_between_starts_the_count_anew(breaker):
    failed(breaker, 2)
    breaker.succeeded()
    failed(breaker, 2)
    assert breaker.state is BreakerState.CLOSED


def test_after_the_rest_one_call_is_let_through_and_its_success_closes(breaker, clock):
    failed(breaker, 3)
    clock.now = 20
    assert breaker.allows()
    assert not breaker.allows()
    breaker.succeeded()
    assert breaker.allows()


def test_a_failed_trial_rests_again_at_once(breaker, clock):
    failed(breaker, 3)
    clock.now = 20
    failed(breaker)
    clock.now = 39
    assert not breaker.allows()
    clock.now = 40
    assert breaker.allows()


def test_an_abandoned_trial_is_neither_success_nor_failure_and_frees_the_next(breaker, clock):
    failed(breaker, 3)
    clock.now = 20
    assert breaker.allows()
    breaker.abandoned()
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.allows()


def test_an_abandoned_call_does_not_forgive_earlier_failures(breaker):
    failed(breaker, 2)
    assert breaker.allows()
    breaker.abandoned()
    failed(breaker)
    assert breaker.state is BreakerState.OPEN
