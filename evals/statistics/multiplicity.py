"""Several questions, one error rate."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values, in the order given: rejecting those at most alpha keeps the chance of any false rejection at alpha.

    Holm, "A simple sequentially rejective multiple test procedure" (Scandinavian Journal of Statistics 1979); needs no
    independence. With e-values, p = min(1, 1/e), and with the highest e so far it holds at every stopping time.
    """
    adjusted, floor = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        floor = max(floor, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = floor
    return adjusted
