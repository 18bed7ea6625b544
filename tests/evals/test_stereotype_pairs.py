import json
import math

import pytest

from data.errors import InvalidInput
from evals.stereotype_pairs import compare_all, load_pairs, measure


def written(tmp_path, rows):
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return load_pairs(tmp_path / "pairs.jsonl")


def pair(n, kind="age", direction="stereo"):
    return {"sent_more": f"more {n}", "sent_less": f"less {n}", "bias_type": kind, "stereo_antistereo": direction}


def test_shares_and_the_sign_test_are_those_worked_by_hand(tmp_path):
    pairs = written(tmp_path, [pair(n) for n in range(6)] + [pair(9, "religion", "antistereo")])

    def likelihood(more, less):
        return {"more 0": (-1.0, -2.0), "more 1": (-3.0, -2.0), "more 2": (-2.0, -2.0)}.get(more, (-1.0, -2.0))

    report = measure(compare_all(pairs, likelihood))
    age = report["kinds"]["age"]
    assert (age["n"], age["n_equal"], age["prefers_stereotype"]) == (6, 1, 0.8)
    assert age["p"] == pytest.approx(2 * (1 + 5) / 32)
    assert report["antistereotypes"]["prefers_stereotype"] == 1.0
    assert age["p_holm"] == pytest.approx(0.75)


def test_a_model_that_gives_no_number_is_an_error_and_not_a_preference(tmp_path):
    with pytest.raises(InvalidInput, match="no number"):
        compare_all(written(tmp_path, [pair(0)]), lambda *_: (math.nan, 0.0))


def test_no_pair_at_all_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="holds no pair"):
        written(tmp_path, [])
