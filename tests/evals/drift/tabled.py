"""A made-up table with scores: what makes a yes moves with `age`, the model knows it. Imported by tests."""

import numpy as np
import pandas as pd

from data.tabular.table_spec import TableSpec, parse_spec
from evals.drift.config import TabularWatch, parse_watch

SPEC: TableSpec = parse_spec(
    {
        "name": "people",
        "source": {"kind": "csv", "paths": ["none.csv"]},
        "columns": {
            "age": {"kind": "number", "nullable": True},
            "hours": {"kind": "number"},
            "job": {"kind": "category"},
            "score": {"kind": "number", "is_feature": False},
            "yes": {"kind": "boolean"},
        },
        "target": "yes",
        "positive": "true",
    },
    "test",
)


def watch(**changes) -> TabularWatch:
    found = parse_watch(
        {"name": "people", "kind": "tabular", "table": "people", "score": "score", "evidently": False} | changes
    )
    assert isinstance(found, TabularWatch)
    return found


def people(
    n: int, seed: int, *, older: float = 0.0, hours: float = 0.0, new_job: float = 0.0, missing: float = 0.0
) -> pd.DataFrame:
    """The model is sure about the young and guesses about those over 60; `older` moves mass there."""
    rng = np.random.default_rng(seed)
    age = rng.uniform(20, 70, n)
    age = np.where(rng.random(n) < older, rng.uniform(60, 70, n), age)
    certainty = np.where(age > 60, 0.5, 0.95)
    says_yes = rng.random(n) < 0.5
    score = np.where(says_yes, certainty + 1e-6, 1 - certainty)
    jobs = np.where(rng.random(n) < new_job, "pilot", rng.choice(["cook", "clerk", "nurse"], n))
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < missing, np.nan, age),
            "hours": rng.normal(40, 5, n) + hours,
            "job": pd.Categorical(jobs),
            "score": score,
            "yes": rng.random(n) < score,
        }
    )
    return frame
