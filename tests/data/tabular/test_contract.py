import pandas as pd
import pytest

from data.tabular.contract import ContractBroken, allowed, checked, faults_of, load_checked, model_of
from data.tabular.table import settle
from data.tabular.table_spec import load_spec
from tests.data.tabular.small_table import loans_frame, loans_spec


def broken() -> pd.DataFrame:
    frame = loans_frame().astype(object)
    frame.loc[1, "amount"] = "much"
    frame.loc[2, "amount"] = -3
    frame.loc[3, "purpose"] = "boat"
    frame.loc[4, "months"] = None
    frame.loc[5, "asked"] = "1999-01-01"
    frame.loc[6, "loan"] = "L007"
    frame.loc[8, "amount"] = float("inf")
    return frame.drop(columns="owner").assign(town_name="x", zzz=1)


def test_a_good_table_comes_back_settled_in_the_order_of_the_spec():
    shuffled = loans_frame()[sorted(loans_frame())]
    assert list(checked(shuffled, loans_spec())) == list(loans_spec().columns)


def test_every_broken_promise_is_told_by_row_column_value_and_what_is_allowed():
    with pytest.raises(ContractBroken) as caught:
        checked(broken(), loans_spec())
    told = [str(fault) for fault in caught.value.faults]
    assert told == [
        "owner: the column is not there",
        "town_name: loans has no such column; is it town?",
        "zzz: loans has no such column; name it in `dropped`",
        "row 1, amount: 'much' is not a number from 0 to 100000",
        "row 2, amount: -3.0 is not a number from 0 to 100000",
        "row 3, purpose: 'boat' is not one of car, house, other",
        "row 4, months: None is not a whole number from 1 to 360",
        "row 5, asked: '1999-01-01 00:00:00' is not a date from 2020-01-01T00:00:00 on",
        "row 6, loan: 'L007' is not unique, as an id must be",
        "row 7, loan: 'L007' is not unique, as an id must be",
        "row 8, amount: inf is not a number from 0 to 100000",
    ]


def test_the_planted_pitfall_of_unchecked_data_is_stopped():
    """Amounts that came in cents: no cell is malformed, a model would train on them all the same."""
    cents = loans_frame().assign(amount=lambda frame: frame["amount"] * 100)
    with pytest.raises(ContractBroken, match="amount"):
        checked(cents, loans_spec())


def test_a_table_to_score_needs_no_target():
    frame = loans_frame().drop(columns="repaid")
    assert "repaid" not in checked(frame, loans_spec(), needs_target=False)
    assert [str(one) for one in faults_of(frame, loans_spec())] == ["repaid: the column is not there"]


def test_checking_twice_changes_nothing():
    once = checked(loans_frame(), loans_spec())
    pd.testing.assert_frame_equal(checked(once, loans_spec()), once)


def test_the_contract_is_a_pandera_model_strict_and_coerced():
    model = model_of(loans_spec())
    settings = model.to_schema()
    assert settings.strict
    assert settings.coerce
    assert set(settings.columns) == set(loans_spec().columns)


def test_what_a_column_may_hold_is_said_in_words():
    columns = loans_spec().columns
    assert allowed(columns["children"]) == "a whole number from 0 to 15 or missing"
    assert allowed(columns["income"]) == "a number from 0 on or missing"


def test_a_table_without_rows_keeps_the_contract():
    assert faults_of(loans_frame().head(0), loans_spec()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "n_rows", "share_positive"),
    [
        ("carclaims", 15420, 0.0599),
        ("adult", 32561, 0.2408),
        ("compas", 7214, 0.4507),
        ("hotel", 34833, 0.3730),
        ("employment", 277677, 0.5013),
    ],
)
def test_the_public_tables_keep_their_contracts(shared_data, table, n_rows, share_positive):
    from data.tabular.table import target_of

    spec = load_spec(table)
    frame = load_checked(spec)
    assert len(frame) == n_rows
    assert target_of(frame, spec).mean() == pytest.approx(share_positive, abs=1e-4)


def test_the_generated_claims_keep_their_contract():
    spec = load_spec("claims")
    small = spec.model_copy(update={"source": spec.source.model_copy(update={"n_rows": 500, "n_policies": 200})})
    assert len(load_checked(small)) == 500
    assert settle(load_checked(small), small)[1] == []
