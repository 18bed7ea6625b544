import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from data.errors import InfrastructureError, InvalidInput
from serving.local.row_batcher import BatchLimits, RowBatcher, batch_of


@dataclass(frozen=True)
class Text:
    n: int
    key: str = ""

    def __len__(self) -> int:
        return self.n


def picked(*lengths, limits=BatchLimits(most_tokens=100, most_padding=0.25)):
    return batch_of([Text(n) for n in lengths], limits)


@pytest.mark.parametrize(
    ("lengths", "taken"),
    [
        ((), []),
        ((500,), [0]),
        ((10, 50, 9, 11), [0, 2, 3]),
        ((10, 20), [0]),
        ((30, 30, 30, 30), [0, 1, 2]),
        ((90, 10, 90), [0]),
    ],
)
def test_a_batch_is_the_first_row_and_what_fits_beside_it(lengths, taken):
    assert picked(*lengths) == taken


def test_rows_of_another_key_run_elsewhere():
    assert batch_of([Text(5, "a"), Text(5, "b"), Text(5, "a")], BatchLimits(), lambda row: row.key) == [0, 2]


def test_results_come_in_order_whatever_was_batched_with_what():
    batcher = RowBatcher(lambda rows: [row.n * 2 for row in rows], n_workers=3)
    assert batcher.results([Text(n) for n in (7, 300, 8, 1, 7)]) == [14, 600, 16, 2, 14]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: batcher.results([Text(n), Text(n + 1)]), range(1, 50)))
    assert found == [[2 * n, 2 * n + 2] for n in range(1, 50)]
    batcher.close()


def test_rows_of_several_callers_meet_while_the_worker_is_busy():
    begun, go_on, sizes = threading.Event(), threading.Event(), []

    def run(rows):
        sizes.append(len(rows))
        begun.set()
        go_on.wait(5)
        return [row.n for row in rows]

    batcher = RowBatcher(run, n_workers=1)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(batcher.results, [Text(4)])
        begun.wait(5)
        others = [pool.submit(batcher.results, [Text(4)]) for _ in range(3)]
        while len(batcher._waiting) < 3:
            pass
        go_on.set()
        assert [first.result()[0], *(other.result()[0] for other in others)] == [4] * 4
    assert sizes == [1, 3]
    batcher.close()


def test_an_error_reaches_the_callers_of_its_batch_and_nobody_else():
    def run(rows):
        if any(row.n == 13 for row in rows):
            raise InvalidInput("thirteen")
        return [row.n for row in rows]

    batcher = RowBatcher(run, n_workers=1)
    with pytest.raises(InvalidInput):
        batcher.results([Text(13)])
    assert batcher.results([Text(1)]) == [1]
    batcher.close()
    with pytest.raises(InfrastructureError, match="closed"):
        batcher.results([Text(1)])
