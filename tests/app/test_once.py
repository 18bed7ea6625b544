import threading

import pytest

from app.once import Once


class Part:
    n_made = 0

    def __init__(self) -> None:
        type(self).n_made += 1
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True


def test_it_is_built_at_the_first_call_once_whoever_comes(monkeypatch):
    monkeypatch.setattr(Part, "n_made", 0)
    once = Once(Part)
    assert once.value is None
    threads = [threading.Thread(target=once) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert Part.n_made == 1
    assert once() is once.value


def test_it_closes_what_was_built_and_nothing_else():
    once = Once(Part)
    once.close()
    part = once()
    once.close()
    assert part.is_closed


def test_what_failed_is_tried_again():
    answers = iter([OSError("away"), Part()])

    def build():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    once = Once(build)
    with pytest.raises(OSError, match="away"):
        once()
    assert isinstance(once(), Part)
