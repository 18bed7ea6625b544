"""A small generated claims table and configs over it, for tests that train."""

from functools import cache
from typing import Any

import pandas as pd

from data.tabular.contract import checked
from data.tabular.table import read_table
from data.tabular.table_spec import ClaimsSource, TableSpec, load_spec
from finetune.tabular.config import Loaded, parse_config


def small_spec(**source: Any) -> TableSpec:
    spec = load_spec("claims")
    settled = {"kind": "claims", "n_rows": 1500, "n_policies": 400, "n_months": 12, "seed": 3} | source
    return spec.model_copy(update={"source": ClaimsSource(**settled)})


@cache
def small_frame() -> pd.DataFrame:
    spec = small_spec()
    return checked(read_table(spec), spec)


def small_config(**changes: Any) -> Loaded:
    given = {
        "name": "small",
        "table": "claims",
        "quality": False,
        "models": [{"kind": "xgboost", "params": {"max_depth": 2, "eta": 0.3}, "early_stopping": 10}],
        "split": {"by": "time", "folds": 3, "test": 0.3, "groups": "shared"},
        "threads": 1,
        "tracking": {"enabled": False},
    }
    loaded = parse_config(given | changes)
    return loaded.model_copy(update={"spec": small_spec()})
