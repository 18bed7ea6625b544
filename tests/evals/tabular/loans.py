"""Made-up loans with a known truth: who repays follows from income and amount; scores can be right, wrong, or right no longer."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.tabular.table import settle
from data.tabular.table_spec import TableSpec, parse_spec

SPEC = {
    "name": "loans",
    "source": {"kind": "csv", "paths": ["loans.csv"]},
    "columns": {
        "loan": {"kind": "integer"},
        "income": {"kind": "number"},
        "amount": {"kind": "number"},
        "sex": {"kind": "category", "values": ["f", "m"]},
        "town": {"kind": "category", "values": ["Ashford", "Brook", "Cliff"]},
        "age": {"kind": "integer", "low": 18, "high": 90},
        "repaid": {"kind": "boolean"},
    },
    "target": "repaid",
    "positive": "true",
    "id": "loan",
    "protected": {"sex": {"privileged": ["m"]}, "age": {"low": 30}},
}


def spec(**changes: object) -> TableSpec:
    return parse_spec(SPEC | changes)


@dataclass(frozen=True)
class Loans:
    frame: pd.DataFrame
    matrix: np.ndarray  # float32 [n, 3]: income, amount, is a man
    truth: np.ndarray  # P(repaid | row)
    labels: np.ndarray


def loans(n: int, seed: int = 0, *, income: float = 0.0, concept: float = 0.0, opposed: float = 0.0) -> Loans:
    """`income` moves rows alone; `concept` moves P(repaid | row) for all, `opposed` up for high incomes and down for low ones."""
    rng = np.random.default_rng(seed)
    earned, asked = rng.normal(income, 1, n), rng.normal(0, 1, n)
    is_man = rng.random(n) < 0.5
    margin = 1.2 * earned - 0.8 * asked + concept + opposed * np.sign(earned)
    truth = 1 / (1 + np.exp(-margin))
    labels = (rng.random(n) < truth).astype(np.int8)
    frame = pd.DataFrame(
        {
            "loan": np.arange(n),
            "income": earned,
            "amount": asked,
            "sex": np.where(is_man, "m", "f"),
            "town": rng.choice(["Ashford", "Brook", "Cliff"], n),
            "age": rng.integers(18, 80, n),
            "repaid": labels == 1,
        }
    )
    matrix = np.column_stack([earned, asked, is_man]).astype(np.float32)
    return Loans(settle(frame, spec())[0], matrix, truth, labels)


def score_of(one: Loans) -> np.ndarray:
    """The right probability of unshifted loans."""
    return 1 / (1 + np.exp(-(1.2 * one.frame["income"] - 0.8 * one.frame["amount"]).to_numpy()))
