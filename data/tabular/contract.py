"""The contract of a table as a pandera model made from its spec: strict, coerced, checked at every boundary. Stores nothing.

frame = load_checked(spec)                 # training, batch: read + settle + check
frame = checked(raw, spec)                 # any frame that crosses a boundary
faults = faults_of(raw, spec)              # the same without raising
"""

from collections.abc import Sequence

import pandas as pd

from data.errors import InvalidInput
from data.tabular.table import Fault
from data.tabular.table_spec import TableSpec


class ContractBroken(InvalidInput):
    """`faults` are all cells at fault, by row, column, value and what is allowed; the message shows the first ten."""

    code = "contract_broken"

    def __init__(self, table: str, faults: Sequence[Fault], *, next_step: str = "") -> None:
        told = "\n".join(f"  {fault}" for fault in faults[:10])
        more = f"\n  and {len(faults) - 10} more" if len(faults) > 10 else ""
        super().__init__(
            f"{table} breaks its contract in {len(faults)} places:\n{told}{more}\n",
            field=faults[0].column if faults else "",
            next_step=next_step or f"Mend the rows, or the spec if it is wrong. All of them: assay data check {table}",
        )
        self.faults = tuple(faults)


def load_checked(spec: TableSpec, *, n_rows: int | None = None) -> pd.DataFrame:
    """Read, settle and check. Raises: NotFound; ContractBroken."""
    raise NotImplementedError


def checked(frame: pd.DataFrame, spec: TableSpec, *, needs_target: bool = True) -> pd.DataFrame:
    """The settled frame, its columns in the order of the spec. Raises: ContractBroken.

    Without `needs_target` (scoring) the target and `known_at` may be absent.
    """
    raise NotImplementedError


def faults_of(frame: pd.DataFrame, spec: TableSpec, *, needs_target: bool = True) -> list[Fault]:
    """All that breaks the contract, by row and column."""
    raise NotImplementedError
