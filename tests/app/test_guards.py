from concurrent.futures import ThreadPoolExecutor

from app.guards import Remembered


def counting(calls):
    def judge(texts):
        calls.append(list(texts))
        return [len(text) / 100 for text in texts]

    return judge


def test_a_text_is_judged_once():
    calls = []
    judge = Remembered(counting(calls))
    assert judge(["a", "bb", "a"]) == [0.01, 0.02, 0.01]
    assert judge(["bb", "ccc"]) == [0.02, 0.03]
    assert calls == [["a", "bb"], ["ccc"]]
    assert judge([]) == []


def test_what_was_not_asked_for_long_is_forgotten():
    calls = []
    judge = Remembered(counting(calls), most=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        judge([text])
    assert calls == [["a"], ["b"], ["c"], ["b"]]


def test_threads_get_their_own_answers():
    judge = Remembered(counting([]), most=3)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: judge(["x" * n, "y" * (n + 1)]), range(1, 60)))
    assert found == [[n / 100, (n + 1) / 100] for n in range(1, 60)]
