import pytest

from evals.tabular.explanation import Explainer, group_difference
from tests.data.tabular.small_model import small_model

pytestmark = [
    pytest.mark.slow,  # shap takes seconds to import
    pytest.mark.filterwarnings("ignore:The set_:PendingDeprecationWarning"),  # shap's colours, at import
]
PNG = b"\x89PNG\r\n\x1a\n"


def test_pictures_are_drawn_of_numbers_and_categories_alike():
    from evals.tabular.explanation_pictures import beeswarm, difference_bar, importance_bar

    model = small_model("logistic_regression")
    explained = Explainer(model).rows(model.reference)
    is_man = (model.reference["sex"] == "m").to_numpy()
    pictures = [
        beeswarm(explained),
        importance_bar(explained),
        difference_bar(group_difference(explained, is_man), "men", "women"),
    ]
    assert all(one.startswith(PNG) and len(one) > 5000 for one in pictures)
    assert len(set(pictures)) == 3
