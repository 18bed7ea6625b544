import time

from evals.rates import measured_rates


def test_items_are_asked_one_by_one_after_a_first_call_that_is_not_counted_and_then_together():
    sizes = []

    def call(items):
        sizes.append(len(items))
        time.sleep(0.02)

    facts = measured_rates(call, ["a", "b", "c"])
    assert sizes == [1, 1, 1, 1, 3]
    assert 20 <= facts["p50_ms"] < 200
    assert facts["per_core_second"] > facts["per_second_one_at_a_time"]  # sleeping takes the clock and no processor


def test_nothing_to_time_is_no_division_by_zero():
    assert measured_rates(len, []) == {"n": 0}
