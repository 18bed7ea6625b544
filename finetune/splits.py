"""Training and held-out rows where a recipe gives no held-out file: parted by a hash, equal and nearly equal rows on one side."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from finetune.examples import Notice
from finetune.overlap import matches
from finetune.rows import held_out


class Keyed(Protocol):
    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=Keyed)


def parted(rows: Sequence[T], share: float, seed: int, least: float) -> tuple[list[T], list[T], list[Notice]]:
    """Hold out `share` of the rows by a hash of their key. Raises nothing: an empty side is preflight's to report.

    A held-out row that shares `least` of its 5-grams with a training row would flatter the run: it joins the training rows,
    and so does what nearly equals it in turn.
    """
    sides = held_out([row.key for row in rows], share, seed)
    train = [row for row, is_out in zip(rows, sides, strict=True) if not is_out]
    out = [row for row, is_out in zip(rows, sides, strict=True) if is_out]
    joined, n_before = train, len(out)
    while joined and out:
        asked = [row.key for row in joined]
        alike = {match.b for match in matches(asked, asked, [row.key for row in out], least)}
        joined = [row for i, row in enumerate(out) if i in alike]
        out = [row for i, row in enumerate(out) if i not in alike]
        train = train + joined
    return train, out, _notices(n_before, len(out))


def _notices(n_before: int, n_after: int) -> list[Notice]:
    if n_before == n_after:
        return []
    return [
        Notice(
            "near_duplicates_kept_together",
            f"{n_before - n_after} of {n_before} held-out rows nearly equal a training row; they are trained on instead.",
            "Give held-out rows of their own in data.eval, or raise data.eval_share.",
            is_blocking=n_after * 4 < n_before,
        )
    ]
