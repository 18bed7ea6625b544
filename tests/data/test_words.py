import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from data import words as words_module
from data.words import OPPOSITE, numbers, stems


def test_opposites_go_both_ways_and_none_is_its_own():
    assert all(OPPOSITE[word] != word for word in OPPOSITE)
    assert OPPOSITE["before"] == "after"
    assert OPPOSITE["after"] == "before"


def test_stems_leave_out_grammar():
    assert stems("Where were the founders found?") == ["founder", "found"]


def test_numbers_are_whole_however_they_are_written():
    assert numbers("1,950 in 1940, 40kg, 3.5 of 7.") == {"1950", "1940", "40", "3.5", "7"}


@pytest.mark.slow
def test_words_are_stemmed_alike_in_many_threads():
    words = [w + s for w in ("calibrat", "organiz", "relation", "certificat") for s in ("ing", "ed", "es", "ion")] * 50
    wanted = [_stem_anew(word) for word in words]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert all(found == wanted for found in pool.map(lambda _: [_stem_anew(word) for word in words], range(8)))
    finally:
        sys.setswitchinterval(interval)


def _stem_anew(word):
    return [words_module._stem.__wrapped__(word)]
