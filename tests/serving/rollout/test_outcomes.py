from serving.rollout.outcomes import OutcomeStore, RolloutOutcome


def _outcome(key: str, trial: int = 1, arm: str = "candidate") -> RolloutOutcome:
    return RolloutOutcome(name="s", trial=trial, key=key, unit=f"u{key}", arm=arm, metrics={"error": 0.0}, share=0.5)


def test_outcomes_of_a_trial_come_back_in_order_and_from_where_one_left_off(database):
    outcomes = OutcomeStore(database)
    outcomes.add([_outcome("1"), _outcome("2", trial=2), _outcome("3")])
    outcomes.add([])
    found = outcomes.since("s", 1)
    assert [o.key for _, o in found] == ["1", "3"]
    assert [o.key for _, o in outcomes.since("s", 1, found[0][0])] == ["3"]
    assert outcomes.since("other", 1) == []


def test_a_rating_joins_the_arm_and_unit_of_the_answer_it_rates(database):
    outcomes = OutcomeStore(database)
    outcomes.add([_outcome("r1", arm="incumbent")])
    assert outcomes.rate("r1", {"thumbs": 1.0})
    (_, rating) = outcomes.since("s", 1)[1]
    assert (rating.arm, rating.unit, rating.metrics, rating.share) == ("incumbent", "ur1", {"thumbs": 1.0}, 0.5)


def test_a_rating_of_an_answer_outside_any_trial_and_of_a_mirrored_one_is_no_outcome(database):
    outcomes = OutcomeStore(database)
    outcomes.add([_outcome("r1", arm="pair")])
    assert not outcomes.rate("r1", {"thumbs": 1.0})
    assert not outcomes.rate("r2", {"thumbs": 1.0})
