import numpy as np
import pytest

from data.errors import InvalidInput
from data.tabular.features import FeatureTransformer
from data.tabular.model import Costs
from data.tabular.table import load_table, target_of
from data.tabular.table_spec import load_spec
from evals.tabular.estimated import ASSUMPTIONS, ESTIMATED, Calibration, estimate
from evals.tabular.metrics import Scored, values_of
from evals.tabular.performance import mean_absolute_error
from tests.evals.tabular.loans import loans, score_of


def test_right_scores_tell_every_figure_before_a_label_comes():
    reference, window = loans(4000, 1), loans(4000, 2)
    scored = Scored(reference.labels, score_of(reference), 0.4, Costs(1, 3))
    found = estimate(scored, score_of(window), n_draws=40, level=1.0)
    shown = values_of(Scored(window.labels, score_of(window), 0.4, Costs(1, 3)))
    assert set(found.metrics) == set(ESTIMATED)
    assert found.calibration == "beta"
    assert {name: one.value for name, one in found.metrics.items()} == pytest.approx(
        {name: shown[name] for name in ESTIMATED}, abs=0.035
    )
    assert all(one.low <= shown[name] <= one.high for name, one in found.metrics.items())


def test_a_case_worked_by_hand():
    """The reference's scores are exactly right, so that its calibration is the identity."""
    scores = np.repeat([0.2, 0.5, 0.8], 1000)
    scored = Scored(np.tile(np.arange(10), 300) < np.round(scores * 10), scores, 0.5)
    found = estimate(scored, np.array([0.8, 0.2]), n_draws=5)
    assert found.metrics["accuracy"].value == pytest.approx(0.8)
    assert found.metrics["recall"].value == pytest.approx(0.8)
    assert found.metrics["brier"].value == pytest.approx(0.16)
    assert found.expected_positives == pytest.approx(0.5)
    assert found.metrics["roc_auc"].value == pytest.approx((0.8 * 0.8 + (0.8 * 0.2 + 0.2 * 0.8) / 2) / 1.0)


def test_scores_that_no_smooth_curve_mends_are_calibrated_by_steps():
    rng = np.random.default_rng(0)
    scores = rng.random(4000)
    steps = np.where(scores < 0.5, 0.1, 0.2) + np.where(scores > 0.95, 0.7, 0.0)
    labels = (rng.random(4000) < steps).astype(np.int8)
    calibration = Calibration(scores, labels)
    assert calibration.kind == "isotonic"
    assert calibration(np.array([0.3, 0.7, 0.97])) == pytest.approx([0.1, 0.2, 0.9], abs=0.06)


def test_wrong_scores_are_calibrated_on_the_reference_first():
    reference, window = loans(4000, 1), loans(4000, 2)
    bent = score_of(reference) ** 3, score_of(window) ** 3
    found = estimate(Scored(reference.labels, bent[0]), bent[1], n_draws=10)
    shown = values_of(Scored(window.labels, bent[1]))
    assert found.calibration == "beta"
    for name in ("roc_auc", "accuracy", "brier"):
        assert found.metrics[name].value == pytest.approx(shown[name], abs=0.02), name


def test_rows_that_move_are_followed():
    reference, window = loans(4000, 1), loans(20_000, 2)
    middling = np.abs(score_of(window) - 0.5) < 0.2
    found = estimate(Scored(reference.labels, score_of(reference)), score_of(window)[middling], n_draws=10)
    shown = values_of(Scored(window.labels[middling], score_of(window)[middling]))
    unmoved = values_of(Scored(reference.labels, score_of(reference)))
    assert abs(unmoved["roc_auc"] - shown["roc_auc"]) > 0.03  # there is something to follow
    assert mean_absolute_error([found.metrics["roc_auc"].value], [shown["roc_auc"]]) < 0.02


def test_a_concept_that_moves_is_not_seen_and_the_assumption_says_so():
    reference, window = loans(4000, 1), loans(4000, 2, concept=-2)
    found = estimate(Scored(reference.labels, score_of(reference)), score_of(window), n_draws=10)
    shown = values_of(Scored(window.labels, score_of(window)))
    assert found.metrics["accuracy"].value - shown["accuracy"] > 0.05
    assert "no concept shift" in ASSUMPTIONS[0]
    assert found.assumptions == ASSUMPTIONS


@pytest.mark.slow
def test_intervals_hold_what_labels_show_about_as_often_as_they_say():
    hits = 0
    for seed in range(24):
        reference, window = loans(1000, seed + 5000), loans(150, seed + 20_000)
        found = estimate(Scored(reference.labels, score_of(reference)), score_of(window), n_draws=80, seed=seed)
        shown = values_of(Scored(window.labels, score_of(window)))["roc_auc"]
        hits += found.metrics["roc_auc"].low <= shown <= found.metrics["roc_auc"].high
    assert 20 <= hits <= 24  # of 24 at 95 %


def test_a_reference_of_one_class_is_refused():
    with pytest.raises(InvalidInput, match="of one class"):
        estimate(Scored(np.zeros(5, int), np.full(5, 0.2)), np.array([0.3]))


@pytest.mark.slow
def test_the_ranking_of_later_years_is_estimated_to_two_hundredths(shared_data):
    """Real years: fitted on a part of 2015, held out on another, then 2016 to 2018 before their labels."""
    from sklearn.linear_model import LogisticRegression

    spec = load_spec("employment")
    frame = load_table(spec)
    year, rng = frame["year"].to_numpy(), np.random.default_rng(0)
    parts = {one: rng.choice(np.flatnonzero(year == one), 9000, replace=False) for one in (2015, 2016, 2017, 2018)}
    fitted, held = parts[2015][:6000], parts[2015][6000:]
    features = FeatureTransformer.fit(frame.iloc[fitted], spec)
    labels = target_of(frame, spec)
    model = LogisticRegression(max_iter=200).fit(features.transform(frame.iloc[fitted]), labels[fitted])

    def scored(rows: np.ndarray) -> Scored:
        return Scored(labels[rows], model.predict_proba(features.transform(frame.iloc[rows]))[:, 1].astype(np.float64))

    reference = scored(held)
    estimated, realised = [], []
    for one in (2016, 2017, 2018):
        window = scored(parts[one])
        found = estimate(reference, window.scores, n_draws=40)
        estimated.append(found.metrics["roc_auc"].value)
        realised.append(values_of(window)["roc_auc"])
        assert found.metrics["roc_auc"].low - 0.01 <= realised[-1] <= found.metrics["roc_auc"].high + 0.01
    assert mean_absolute_error(estimated, realised) <= 0.02
