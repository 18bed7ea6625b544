from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from data.errors import InvalidInput
from data.tabular.table_spec import TableSpec
from evals.tabular.behaviour import behaviours, invariance
from tests.evals.tabular.loans import SPEC, loans, spec


@dataclass
class Formula:
    """A model written down: `weights` of income, amount and being a man."""

    income: float = 1.0
    amount: float = -1.0
    is_man: float = 0.0
    noise: float = 0.0
    id_matters: float = 0.0
    spec: TableSpec = field(default_factory=spec)
    threshold: float = 0.5

    def scores(self, rows: pd.DataFrame) -> np.ndarray:
        margin = self.income * rows["income"] + self.amount * rows["amount"]
        margin = margin + self.is_man * (rows["sex"] == "m") + self.id_matters * rows["loan"]
        if self.noise:
            margin = margin + self.noise * np.arange(len(rows))  # depends on the rows beside it
        return (1 / (1 + np.exp(-margin))).to_numpy()


FRAME = loans(200).frame


def named(model, **options):
    return {one.name: one for one in behaviours(model, FRAME, **options)}


def test_a_sound_model_passes_everything():
    found = named(Formula(), monotone={"income": "up", "amount": "down"})
    assert [one.name for one in found.values() if not one.passed] == []
    assert {"determinism", "range 0..1", "income up", "amount down", "invariance to sex", "no effect of loan"} <= set(
        found
    )


def test_a_score_that_depends_on_the_rows_beside_it_is_not_deterministic():
    assert not named(Formula(noise=0.01))["determinism"].passed


def test_a_wrong_direction_is_told_with_the_row():
    found = named(Formula(), monotone={"income": "down"})["income down"]
    assert not found.passed
    assert found.n_broken == 200
    assert "income=" in found.example


def test_using_a_protected_attribute_is_told_where_it_changes_decisions():
    found = named(Formula(is_man=1.0))["invariance to sex"]
    assert not found.passed
    assert 0 < found.n_broken < 200
    assert invariance(Formula(is_man=1.0), FRAME, "sex", max_changed=0.9).passed


def test_a_column_that_is_no_feature_must_have_no_effect():
    assert not named(Formula(id_matters=0.1))["no effect of loan"].passed


def test_scores_outside_are_told():
    class Outside(Formula):
        def scores(self, rows):
            return super().scores(rows) * 3

    assert not named(Outside())["range 0..1"].passed


def test_directions_of_categories_and_unknown_columns_are_refused():
    with pytest.raises(InvalidInput, match="only numbers have a direction"):
        behaviours(Formula(), FRAME, monotone={"town": "up"})
    with pytest.raises(InvalidInput, match="no column wealth"):
        behaviours(Formula(), FRAME, monotone={"wealth": "up"})


def test_a_date_that_ages_are_measured_to_is_read():
    """The model may use it, though it is no feature itself."""
    columns = SPEC["columns"] | {
        "born": {"kind": "date", "age_at": "asked"},
        "asked": {"kind": "date", "is_feature": False},
    }
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(200), unit="D")
    frame = FRAME.assign(born=pd.Timestamp("1990-01-01"), asked=days)
    found = {one.name for one in behaviours(Formula(spec=spec(columns=columns)), frame)}
    assert "no effect of loan" in found
    assert "no effect of asked" not in found
