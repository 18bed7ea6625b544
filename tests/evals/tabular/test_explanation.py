import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.calibration import IsotonicCalibration, NoCalibration, PlattCalibration
from evals.tabular.explanation import Explainer, explain_row, group_difference
from tests.data.tabular.small_model import small_model
from tests.data.tabular.small_table import loans_rows

pytestmark = pytest.mark.slow  # XGBoost and shap take seconds to import

KINDS = ["logistic_regression", "random_forest", "xgboost"]
CALIBRATIONS = [
    NoCalibration(),
    PlattCalibration(slope=0.7, intercept=-0.3),
    IsotonicCalibration(at=(0.1, 0.5, 0.9), probability=(0.2, 0.4, 0.95)),
]


@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")  # shap's colours, at import
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("calibration", CALIBRATIONS, ids=["none", "platt", "isotonic"])
def test_contributions_add_up_to_the_log_odds_of_the_score(kind, calibration):
    model = small_model(kind, calibration=calibration)
    explainer = Explainer(model)
    for row in loans_rows(6):
        found = explainer.row(row)
        total = found.base + sum(found.contributions.values()) + found.calibration
        assert total == pytest.approx(found.log_odds, abs=1e-9)
        assert found.score == pytest.approx(1 / (1 + np.exp(-found.log_odds)), abs=1e-6)
        assert found.score == model.scores([row])[0]
        if calibration.kind != "isotonic":
            assert abs(found.calibration) < 1e-4  # 32-bit sums of trees


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")
def test_contributions_are_of_the_table_s_columns_the_greatest_first(kind):
    model = small_model(kind)
    found = explain_row(model, loans_rows(1)[0])
    assert set(found.contributions) == set(model.features.feature_columns)
    sizes = [abs(value) for value in found.contributions.values()]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")
def test_trees_of_xgboost_are_explained_as_shap_does():
    import shap

    model = small_model("xgboost", calibration=NoCalibration())
    matrix = model.matrix(model.reference)
    theirs = shap.TreeExplainer(model.estimator.native).shap_values(matrix)
    ours = Explainer(model).rows(model.reference)
    columns = np.array(model.features.feature_columns)
    for at, column in enumerate(ours.columns):
        expected = np.asarray(theirs)[:, columns == column].sum(axis=1)
        assert ours.contributions[:, at] == pytest.approx(expected, abs=1e-5)


@pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning")
def test_linear_contributions_are_as_shap_does():
    import shap

    model = small_model("logistic_regression", calibration=NoCalibration())
    matrix = model.matrix(model.reference).astype(float)
    native = model.estimator.native
    linear = shap.LinearExplainer((native["coefficients"], native["intercept"]), shap.maskers.Independent(matrix, 1000))
    ours = Explainer(model).rows(model.reference)
    columns = np.array(model.features.feature_columns)
    theirs = np.asarray(linear.shap_values(matrix))
    for at, column in enumerate(ours.columns):
        assert ours.contributions[:, at] == pytest.approx(theirs[:, columns == column].sum(axis=1), abs=1e-6)


def test_one_row_is_explained_as_among_many():
    model = small_model("xgboost")
    explained = Explainer(model).rows(model.reference.head(5))
    one = explain_row(model, model.reference.iloc[3].to_dict())
    assert [one.contributions[column] for column in explained.columns] == pytest.approx(
        explained.contributions[3].tolist(), abs=1e-6
    )
    assert explained.importance == dict(sorted(explained.importance.items(), key=lambda pair: -pair[1]))


def test_the_difference_of_groups_adds_up_and_names_what_makes_it():
    model = small_model("logistic_regression")
    explained = Explainer(model).rows(model.reference)
    owns = (model.reference["owner"].astype("boolean").fillna(False)).to_numpy(dtype=bool)
    found = group_difference(explained, owns)
    total = sum(one.value for one in found.contributions.values()) + found.calibration
    assert total == pytest.approx(found.log_odds)
    assert found.log_odds == pytest.approx(explained.log_odds[owns].mean() - explained.log_odds[~owns].mean())
    assert sum(found.n_rows) == len(model.reference)
    with pytest.raises(InvalidInput, match="each needs two"):
        group_difference(explained, np.arange(len(owns)) == 0)


def test_a_linear_model_without_held_out_rows_has_nothing_to_explain_against():
    model = small_model("logistic_regression")
    with pytest.raises(InvalidInput, match="no held-out rows"):
        Explainer(small_model("logistic_regression", reference=model.reference.head(0)))
