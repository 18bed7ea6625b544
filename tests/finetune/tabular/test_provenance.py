import pandas as pd

from finetune.tabular.provenance import code_revision, data_sha256, requirements, versions
from tests.data.tabular.small_table import loans_frame, loans_spec


def test_equal_cells_hash_equally_and_one_other_cell_does_not():
    spec, frame = loans_spec(), loans_frame(30)
    first = data_sha256(frame, spec)
    assert data_sha256(frame.copy(), spec) == first
    assert data_sha256(frame.assign(months=frame["months"].where(frame.index != 7, 99)), spec) != first
    assert data_sha256(frame.iloc[::-1], spec) != first


def test_the_order_of_a_categorys_values_does_not_count():
    frame = loans_frame(30)
    one = frame.assign(purpose=pd.Categorical(frame["purpose"], ["car", "house", "other"]))
    two = frame.assign(purpose=pd.Categorical(frame["purpose"], ["other", "car", "house"]))
    assert data_sha256(one, loans_spec()) == data_sha256(two, loans_spec())


def test_another_contract_is_another_hash_but_another_place_is_not():
    frame = loans_frame(30)
    moved = loans_spec(source={"kind": "csv", "paths": ["elsewhere.csv"]})
    assert data_sha256(frame, moved) == data_sha256(frame, loans_spec())
    assert data_sha256(frame, loans_spec(positive="false")) != data_sha256(frame, loans_spec())


def test_requirements_are_pinned_and_versions_named():
    assert any(line.startswith("xgboost-cpu==") for line in requirements())
    assert versions()["pandas"] == pd.__version__
    assert code_revision()
