"""A motor insurer's claims, made from a seed: drift by month, missing values, a planted bias, late labels and corrected facts. Numpy and pandas alone."""

from dataclasses import dataclass

import pandas as pd

from data.tabular.table_spec import ClaimsSource


@dataclass(frozen=True)
class ClaimsData:
    claims: pd.DataFrame
    """One row per claim, with the facts about its policy as they were known then."""
    policy_history: pd.DataFrame
    """Facts about policies: policy_id, event_timestamp (true from), created_timestamp (known from), and the values."""


def generate_claims(source: ClaimsSource) -> ClaimsData:
    """Equal sources give equal tables, on every machine."""
    raise NotImplementedError
