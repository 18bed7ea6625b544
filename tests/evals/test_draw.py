from evals.draw import drawn


def test_a_draw_keeps_the_order_and_is_the_same_for_the_same_seed():
    rows = list(range(100))
    some = drawn(rows, 10, seed=3)
    assert some == sorted(some) == drawn(rows, 10, seed=3) != drawn(rows, 10, seed=4)
    assert len(set(some)) == 10


def test_none_or_too_many_wanted_are_all_rows():
    assert drawn([1, 2], 0) == drawn([1, 2], 5) == [1, 2]
