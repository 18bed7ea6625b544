import pytest

from data.errors import InvalidInput
from data.tabular.estimators.reading import FORMS, form_of


def test_each_kind_has_a_file_of_its_own():
    assert len({form.file for form in FORMS.values()}) == len(FORMS)


def test_an_unknown_kind_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match="logistic_regression, random_forest, xgboost"):
        form_of("lightgbm")
