"""A small table of made-up loans with every kind of column, as spec and as rows."""

import pandas as pd

from data.tabular.table_spec import TableSpec, parse_spec

LOANS = {
    "name": "loans",
    "source": {"kind": "csv", "paths": ["loans.csv"]},
    "columns": {
        "loan": {"kind": "category"},
        "asked": {"kind": "date", "earliest": "2020-01-01T00:00:00", "parts": ["month", "weekday"]},
        "born": {"kind": "date", "nullable": True, "age_at": "asked"},
        "amount": {"kind": "number", "low": 0, "high": 100_000},
        "income": {"kind": "number", "low": 0, "nullable": True},
        "children": {"kind": "integer", "low": 0, "high": 15, "nullable": True, "missing": ["-1"]},
        "months": {"kind": "integer", "low": 1, "high": 360},
        "purpose": {"kind": "category", "values": ["car", "house", "other"]},
        "town": {"kind": "category", "nullable": True, "missing": ["?"]},
        "owner": {"kind": "boolean", "nullable": True},
        "sex": {"kind": "category", "values": ["f", "m"], "is_feature": False},
        "repaid": {"kind": "boolean"},
    },
    "target": "repaid",
    "positive": "true",
    "id": "loan",
    "time": "asked",
    "protected": {"sex": {"privileged": ["m"]}, "children": {"high": 0}},
}


def loans_spec(**changes: object) -> TableSpec:
    return parse_spec(LOANS | changes)


def loans_rows(n: int = 60) -> list[dict]:
    towns = ["Ashford", "Brook", "Cliff", None, "?"]
    return [
        {
            "loan": f"L{at:03d}",
            "asked": f"2024-{at % 12 + 1:02d}-{at % 28 + 1:02d}T{at % 24:02d}:30:00",
            "born": None if at % 13 == 5 else f"{1950 + at % 50}-06-15",
            "amount": 500.25 * (at % 17 + 1),
            "income": None if at % 7 == 3 else 1200.0 + 37.5 * at,
            "children": -1 if at % 11 == 4 else at % 4,
            "months": at % 60 + 1,
            "purpose": ["car", "house", "other"][at % 3],
            "town": towns[at % 5],
            "owner": [True, False, None][at % 3],
            "sex": ["f", "m"][at % 2],
            "repaid": at % 4 != 0,
        }
        for at in range(n)
    ]


def loans_frame(n: int = 60) -> pd.DataFrame:
    """As it comes from a file or a request: nothing settled."""
    return pd.DataFrame(loans_rows(n))
