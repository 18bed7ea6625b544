"""Our figures equal aif360's and fairlearn's to 1e-9, on two public tables and on cells drawn at random."""

import numpy as np
import pandas as pd
import pytest

from data.tabular.reweighing import reweighing_weights
from data.tabular.table import is_privileged, load_table, target_of
from data.tabular.table_spec import load_spec
from evals.tabular.fairness import measures_of
from evals.tabular.groups import Grouped, Outcome, privileged_and_not
from tests.evals.tabular.test_fairness import grouped

pytestmark = [
    pytest.mark.slow,  # aif360 and fairlearn take seconds to import
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),  # theirs, at import
]


def decided(table: str, attribute: str) -> Grouped:
    """Decisions of a plain rule over one column: what is compared is arithmetic, not models."""
    spec = load_spec(table)
    frame = load_table(spec)
    rule = {"adult": lambda f: f["education-num"] >= 12, "compas": lambda f: f["decile_score"] >= 5}[table]
    outcome = Outcome.of(target_of(frame, spec), rule(frame).to_numpy(), spec.favourable)
    return privileged_and_not(outcome, frame, spec, attribute)


@pytest.mark.parametrize(
    ("table", "attribute"),
    [("adult", "sex"), ("adult", "race"), ("adult", "age"), ("compas", "race"), ("compas", "sex"), ("compas", "age")],
)
def test_figures_equal_on_public_tables(shared_data, table, attribute):
    from evals.tabular.fairness_reference import greatest_difference

    one = decided(table, attribute)
    assert greatest_difference(one) <= 1e-9
    assert abs(measures_of(one.cells())["statistical_parity_difference"]) > 0.005  # nothing trivial was compared


def test_figures_equal_on_cells_drawn_at_random():
    from evals.tabular.fairness_reference import greatest_difference

    rng = np.random.default_rng(0)
    for _ in range(10):
        cells = rng.integers(1, 60, (2, 4))
        assert greatest_difference(grouped(tuple(cells[0]), tuple(cells[1]))) <= 1e-9


def test_a_figure_that_differs_is_no_figure():
    from evals.tabular.fairness_reference import FiguresDisagree, greatest_difference

    one = grouped((5, 6, 7, 8), (8, 7, 6, 5))
    off = {name: float(value) + 1e-6 for name, value in measures_of(one.cells()).items()}
    with pytest.raises(FiguresDisagree, match="statistical_parity_difference is"):
        greatest_difference(one, off)


def test_reweighing_gives_the_weights_of_aif360(shared_data):
    from aif360.algorithms.preprocessing import Reweighing
    from aif360.datasets import BinaryLabelDataset

    spec = load_spec("adult")
    frame = load_table(spec, n_rows=3000)
    group, labels = is_privileged(frame, spec, "sex").astype(float), target_of(frame, spec).astype(float)
    data = BinaryLabelDataset(
        df=pd.DataFrame({"group": group, "label": labels}), label_names=["label"], protected_attribute_names=["group"]
    )
    theirs = Reweighing([{"group": 0}], [{"group": 1}]).fit_transform(data).instance_weights
    assert reweighing_weights(labels, group) == pytest.approx(theirs, abs=1e-9)
