"""Filters of views: what was asked for, checked against what there is."""

from collections.abc import Sequence

from data.errors import InvalidInput

MOST_NAMED = 12


def choose(field: str, given: str, known: Sequence[str], otherwise: str) -> str:
    """`given` where it is known, `otherwise` where nothing was given. Raises: InvalidInput, naming those there are."""
    if not given:
        return otherwise
    if given in known:
        return given
    some = ", ".join(known[:MOST_NAMED]) + (", ..." if len(known) > MOST_NAMED else "")
    raise InvalidInput(
        f"There is no {field} {given!r} here.", field=field, next_step=f"There are: {some}." if known else ""
    )
