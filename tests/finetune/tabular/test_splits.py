import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import InvalidInput
from data.tabular.table_spec import parse_spec
from finetune.tabular.config import SplitConfig
from finetune.tabular.splits import split_rows

SPEC = {
    "name": "visits",
    "source": {"kind": "csv", "paths": ["visits.csv"]},
    "columns": {
        "visit": {"kind": "integer"},
        "person": {"kind": "category", "nullable": True},
        "at": {"kind": "date", "nullable": True},
        "told": {"kind": "date", "nullable": True},
        "value": {"kind": "number"},
        "ill": {"kind": "boolean", "nullable": True},
    },
    "target": "ill",
    "positive": "true",
    "id": "visit",
    "time": "at",
    "group": "person",
}


def visits(n: int = 600, n_persons: int = 150, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 300 * 24, n)), unit="h")
    return pd.DataFrame(
        {
            "visit": np.arange(n),
            "person": pd.Series([f"p{one}" for one in rng.integers(0, n_persons, n)], dtype="category"),
            "at": at,
            "told": at + pd.to_timedelta(rng.integers(1, 40, n), unit="D"),
            "value": rng.normal(size=n),
            "ill": pd.array(rng.random(n) < 0.3, dtype="boolean"),
        }
    )


def spec(**changes):
    return parse_spec(SPEC | changes)


def test_at_random_classes_keep_their_share_and_no_row_is_lost():
    frame = visits()
    split = split_rows(frame, spec(), SplitConfig(by="random"))
    parts = [split.test, *(scored for _, scored in split.folds)]
    assert np.sort(np.concatenate(parts)).tolist() == list(range(600))
    shares = [frame["ill"].iloc[part].mean() for part in parts]
    np.testing.assert_allclose(shares, frame["ill"].mean(), atol=0.02)
    assert len(split.test) == pytest.approx(120, abs=2)


@settings(max_examples=12, deadline=None)
@given(st.sampled_from(["random", "group", "time"]), st.integers(0, 1000), st.integers(3, 6))
def test_no_row_is_fitted_and_scored_and_none_held_out_is_in_a_fold(by, seed, folds):
    frame = visits(1000, seed=seed)
    split = split_rows(
        frame, spec(known_at="told"), SplitConfig(by=by, folds=folds, seed=seed, test=0.25, groups="shared")
    )
    held = set(split.test)
    assert not held & set(split.development)
    scored_before: set[int] = set()
    for fitted, scored in split.folds:
        assert not set(fitted) & set(scored)
        assert (set(fitted) | set(scored)) <= set(split.development)
        assert not scored_before & set(scored)
        scored_before |= set(scored)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["group", "time"]), st.integers(0, 1000))
def test_rows_of_a_group_never_stand_on_both_sides(by, seed):
    frame = visits(seed=seed, n_persons=300)
    split = split_rows(frame, spec(), SplitConfig(by=by, folds=3, seed=seed))
    person = frame["person"].astype(str).to_numpy()
    assert not set(person[split.development]) & set(person[split.test])
    for fitted, scored in split.folds:
        assert not set(person[fitted]) & set(person[scored])


def test_groups_fill_the_parts_in_their_shares():
    frame = visits(2000, 400)
    split = split_rows(frame, spec(), SplitConfig(by="group", test=0.25, folds=3))
    assert len(split.test) == pytest.approx(500, abs=25)
    assert frame["ill"].iloc[split.test].mean() == pytest.approx(frame["ill"].mean(), abs=0.03)
    assert len(split.test) + len(split.development) == 2000


def test_a_row_without_a_group_is_a_group_of_its_own():
    frame = visits()
    frame.loc[:99, "person"] = None
    split = split_rows(frame, spec(), SplitConfig(by="group"))
    alone = set(range(100))
    assert alone & set(split.test)
    assert alone & set(split.development)


def test_by_time_everything_fitted_lies_before_everything_scored():
    frame = visits()
    split = split_rows(frame, spec(), SplitConfig(by="time", groups="shared"))
    at = frame["at"].to_numpy()
    assert at[split.development].max() < at[split.test].min()
    assert len(split.folds) == 4  # the first of five parts has nothing before it
    for fitted, scored in split.folds:
        assert at[fitted].max() < at[scored].min()


def test_labels_that_came_too_late_are_not_learnt_from():
    frame = visits()
    config = SplitConfig(by="time", groups="shared")
    split = split_rows(frame, spec(known_at="told"), config)
    begins = frame["at"].iloc[split.test].min()
    assert (frame["told"].iloc[split.development] <= begins).all()
    before = int((frame["at"] < begins).sum())
    assert split.left_out == {"label not yet known": before - len(split.development)}
    free = split_rows(frame, spec(known_at="told"), config.model_copy(update={"label_known": False}))
    assert len(free.development) == before
    for fitted, scored in split.folds:
        assert (frame["told"].iloc[fitted] <= frame["at"].iloc[scored].min()).all()


def test_a_delay_in_days_counts_like_the_column():
    frame = visits()
    split = split_rows(frame, spec(label_delay_days=20), SplitConfig(by="time", groups="shared"))
    begins = frame["at"].iloc[split.test].min()
    assert frame["at"].iloc[split.development].max() <= begins - pd.Timedelta(days=20)


def test_rows_of_one_moment_never_part():
    frame = visits().assign(at=lambda one: one["at"].dt.to_period("Q").dt.start_time)
    split = split_rows(frame, spec(), SplitConfig(by="time", groups="shared", test=0.2))
    assert not set(frame["at"].iloc[split.test]) & set(frame["at"].iloc[split.development])
    assert len(split.test) >= 0.2 * len(frame)


def test_rows_without_label_or_time_are_left_out_and_counted():
    frame = visits()
    frame.loc[:9, "ill"] = pd.NA
    frame.loc[10:14, "at"] = pd.NaT
    split = split_rows(frame, spec(), SplitConfig(by="time", groups="shared"))
    assert split.left_out == {"without a label": 10, "without a time": 5}


def test_too_few_positives_are_refused_and_the_part_named():
    frame = visits()
    frame["ill"] = pd.array([True] * 12 + [False] * 588, dtype="boolean")
    with pytest.raises(InvalidInput, match="held-out part has 2 positive"):
        split_rows(frame, spec(), SplitConfig(by="random"))


def test_one_moment_before_the_held_out_part_makes_no_folds():
    frame = visits()
    frame["at"] = np.where(np.arange(600) < 400, np.datetime64("2024-01-01"), np.datetime64("2024-02-01"))
    with pytest.raises(InvalidInput, match="too few moments"):
        split_rows(frame, spec(), SplitConfig(by="time", groups="shared"))


def test_equal_seeds_divide_equally_and_others_do_not():
    frame = visits()
    first, again, other = (split_rows(frame, spec(), SplitConfig(by="group", seed=seed)).test for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
