import numpy as np
import pytest

from data.tabular.contract import checked
from data.tabular.features import FeatureTransformer
from finetune.tabular.findings import after_training, before_training, of_left_out, single_auc
from tests.data.tabular.small_table import LOANS, loans_frame, loans_spec

pytestmark = pytest.mark.slow


def found(frame, spec, labels, cut: int = 700):
    frame = checked(frame, spec)
    features = FeatureTransformer.fit(frame, spec)
    matrix = features.transform(frame)
    told = before_training(features, matrix[:cut], labels[:cut], matrix[cut:], labels[cut:], spec)
    return {one.code: one for one in told}


def noise(n: int = 1000, share: float = 0.5) -> np.ndarray:
    return (np.random.default_rng(0).random(n) < share).astype(np.int8)


def test_a_number_that_knows_the_answer_stops_the_run():
    frame, labels = loans_frame(1000), noise()
    frame["amount"] = labels * 50_000.0 + np.random.default_rng(1).normal(10_000, 2000, 1000).round(2)
    told = found(frame, loans_spec(), labels)
    assert told["leak"].severity == "stop"
    assert told["leak"].message.startswith("amount alone predicts the target with ROC-AUC 1.000")


def test_a_category_that_knows_the_answer_stops_the_run():
    frame, labels = loans_frame(1000), noise()
    frame["town"] = np.where(labels == 1, np.array(["Ashford", "Brook"])[np.arange(1000) % 2], "Cliff")
    told = found(frame, loans_spec(), labels)
    assert "town alone predicts" in told["leak"].message


def test_columns_that_know_nothing_raise_no_alarm():
    assert "leak" not in found(loans_frame(1000), loans_spec(), noise())


def test_few_positives_and_another_share_of_them_are_told():
    labels = noise(share=0.02)
    labels[700:] = noise(300, 0.12)
    told = found(loans_frame(1000), loans_spec(), labels)
    assert "fewer than 200" in told["few_positives"].message or "fewer than 50" in told["few_positives"].message
    assert "calibration will be off" in told["base_rate"].message


def test_copies_across_the_split_are_told():
    frame = loans_frame(1000)
    copied = [name for name in LOANS["columns"] if name != "loan"]
    frame.loc[700:, copied] = frame.loc[:299, copied].to_numpy()
    assert found(frame, loans_spec(), noise())["copies"].message.startswith("100.0% of the held-out rows")


def test_protected_attributes_that_the_model_sees_are_noted():
    assert "children" in found(loans_frame(1000), loans_spec(), noise())["protected_feature"].message


def test_a_figure_too_good_is_doubted():
    assert after_training({"roc_auc": 0.999})[0].code == "too_good"
    assert after_training({"roc_auc": 0.9}) == []


def test_rows_left_out_are_counted():
    assert (
        str(of_left_out({"without a label": 5}, 50)[0]) == "note: 5 of 50 rows (10.0%) are left out: without a label."
    )


def test_single_auc_by_hand_and_either_way():
    values, labels = np.array([1.0, 2, 3, 4]), np.array([0, 1, 0, 1])
    assert single_auc(values, labels) == single_auc(-values, labels) == 0.75
    assert single_auc(np.ones(4), labels) == 0.5
