import numpy as np
import optuna
import pytest

from data.errors import InfrastructureError, InvalidInput
from finetune.tabular.config import ModelConfig, Range, SearchConfig
from finetune.tabular.folds import FoldParts, metric_value
from finetune.tabular.models import Part, Settings, fit, full_params
from finetune.tabular.search import Task, _fold_values, _is_clearly_better, _storage, search, study_name

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def part(n: int = 300) -> Part:
    matrix = RNG.normal(size=(n, 30)).astype(np.float32)
    labels = (matrix[:, 0] + matrix[:, 1] + RNG.normal(size=n) > 0).astype(np.int8)
    return Part(matrix, labels, np.ones(n), tuple(f"f{at}" for at in range(30)), ("q",) * 30)


FOLDS = [FoldParts(part(), part()) for _ in range(3)]


def task(**changes) -> Task:
    settled = {
        "model": ModelConfig(kind="logistic_regression", params={"C": 50.0}),
        "folds": FOLDS,
        "metric": "log_loss",
        "settings": Settings(),
        "name": "small",
        "data_sha256": "ab",
    }
    return Task(**(settled | changes))


@pytest.fixture
def storage(tmp_path):
    return f"sqlite:///{tmp_path / 'optuna.db'}"


def told(result):
    return [(trial.state, trial.value, trial.params) for trial in result.trials]


def quiet(_):
    return None


def test_the_first_trial_is_the_configs_own_and_the_best_is_no_worse(storage):
    found = search(task(), SearchConfig(trials=4, prune=False), storage, quiet)
    assert found.trials[0].params == {"C": 50.0}
    assert found.value <= found.trials[0].value
    assert found.value == min(trial.value for trial in found.trials)
    assert found.params["C"] < 10  # thirty columns, two that matter: it must shrink


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(kind="xgboost", params={"learning_rate": 0.3, "max_depth": 2}, max_rounds=9),
        ModelConfig(
            kind="random_forest", params={"n_estimators": 9}
        ),  # its max_features is a word, which no range holds
    ],
)
def test_a_search_of_one_trial_changes_nothing(storage, model):
    found = search(task(model=model), SearchConfig(trials=1), storage, quiet)
    scores = [
        fit(model, {}, one.fitted, Settings(), scored=one.scored).estimator.raw_scores(one.scored.matrix)
        for one in FOLDS
    ]
    losses = [metric_value("log_loss", one.scored.labels, s) for one, s in zip(FOLDS, scores, strict=True)]
    assert found.value == pytest.approx(np.mean(losses))
    assert full_params(model, found.params) == full_params(model, {})


@pytest.mark.parametrize(
    ("folds", "is_better"), [([-0.3, -0.1, -0.2], False), ([-0.3, -0.2, -0.1], True), ([-0.5, -0.4, -0.1], False)]
)
def test_another_trial_must_be_better_by_more_than_a_standard_error(folds, is_better):
    own = _trial([-0.31, -0.22, -0.12])
    assert _is_clearly_better(_trial(folds), own) is is_better
    assert _fold_values(_trial(folds)) == pytest.approx(folds)


def _trial(folds):
    """As the search reports it: the mean of the folds so far."""
    means = np.cumsum(folds) / np.arange(1, len(folds) + 1)
    return optuna.trial.create_trial(value=means[-1], intermediate_values=dict(enumerate(means)))


def test_an_interrupted_search_goes_on_as_if_it_never_stopped(tmp_path):
    config = SearchConfig(trials=10, seed=4)
    whole = search(task(), config, f"sqlite:///{tmp_path / 'one.db'}", quiet)
    url = f"sqlite:///{tmp_path / 'two.db'}"
    search(task(), config.model_copy(update={"trials": 4}), url, quiet)
    resumed = search(task(), config, url, quiet)
    assert told(resumed) == told(whole)
    assert len(whole.trials) == 10


def test_trials_that_are_done_are_not_run_again(storage):
    search(task(), SearchConfig(trials=3), storage, quiet)
    lines = []
    assert len(search(task(), SearchConfig(trials=3), storage, lines.append).trials) == 3
    assert lines == []


def test_other_data_and_other_models_begin_anew():
    space = {"C": Range(low=1e-3, high=1e2, log=True)}
    names = {
        study_name(task(**one), space)
        for one in ({}, {"data_sha256": "cd"}, {"metric": "roc_auc"}, {"settings": Settings(seed=1)})
    }
    assert len(names) == 4
    assert study_name(task(), space) == study_name(task(), space)


def test_bad_trials_end_early(storage):
    space = {"xgboost": {"eta": Range(low=1e-6, high=0.5, log=True)}}
    model = ModelConfig(kind="xgboost", params={"eta": 0.3, "max_depth": 2}, max_rounds=5)
    found = search(task(model=model), SearchConfig(trials=16, space=space), storage, quiet)
    assert any(trial.state == "pruned" for trial in found.trials)
    assert found.params["eta"] > 0.05


def test_workers_side_by_side_run_each_trial_once(storage):
    found = search(task(), SearchConfig(trials=7, workers=2), storage, quiet)
    assert len(found.trials) == 7
    assert len({trial.params["C"] for trial in found.trials}) == 7
    assert len({trial.number for trial in found.trials}) == len(found.trials)


def test_a_trial_left_behind_by_a_killed_process_does_not_stop_the_search(storage):
    config = SearchConfig(trials=3)
    search(task(), config.model_copy(update={"trials": 1}), storage, quiet)
    name = optuna.get_all_study_names(storage)[0]
    optuna.load_study(study_name=name, storage=storage).ask()  # asked, and never told
    assert len(search(task(), config, storage, quiet).trials) == 3


def test_no_time_for_another_trial_ends_the_search(storage):
    assert len(search(task(), SearchConfig(trials=50, timeout_s=1e-6), storage, quiet).trials) == 1


def test_a_storage_out_of_reach_is_told():
    with pytest.raises(InfrastructureError, match="storage does not open"):
        _storage("postgresql+psycopg://nobody@127.0.0.1:1/nothing")


def test_a_parameter_that_the_library_refuses_ends_the_search_with_its_name(storage):
    space = {"xgboost": {"max_depht": Range(low=1, high=5, whole=True)}}
    with pytest.raises(InvalidInput, match="max_depht"):
        search(task(model=ModelConfig(kind="xgboost")), SearchConfig(trials=2, space=space), storage, quiet)
