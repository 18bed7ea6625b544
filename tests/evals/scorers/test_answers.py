import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.scorers.answers import ExactMatch, RougeL, Similarity, TokenF1, normalised, rouge_l, token_scores
from tests.evals.making import abstained, answered, sample, values

WEEKS = sample(answer="22 weeks at full pay", metadata={"answers": ["twenty-two weeks"]})


def test_squads_normalisation():
    assert normalised("The  Cat, an   old\none.") == "cat old one"
    assert normalised("Theatre") == "theatre", "an article is a word of its own"


def test_token_f1_worked_by_hand():
    f1, recall = token_scores("Parents get 22 weeks of pay", "22 weeks at full pay")
    assert f1 == pytest.approx(2 * 3 / (6 + 5))
    assert recall == pytest.approx(3 / 5)


def test_a_repeated_token_counts_as_often_as_both_have_it():
    assert token_scores("tea tea tea", "tea tea")[0] == pytest.approx(2 * 2 / 5)


def test_rouge_l_of_lins_own_example():
    """Lin 2004, section 3.1: S2 keeps the order of S1, S3 does not."""
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(3 / 4)
    assert rouge_l("the gunman kill police", "police killed the gunman") == pytest.approx(2 / 4)


@settings(max_examples=25, deadline=None)
@given(st.text("ab ", max_size=20), st.text("ab ", max_size=20))
def test_measures_stay_between_0_and_1_and_equal_texts_reach_1(a, b):
    for measure in (rouge_l, lambda x, y: token_scores(x, y)[0]):
        assert 0 <= measure(a, b) <= 1
        assert measure(a, b) == pytest.approx(measure(b, a))
    if a.split():
        assert rouge_l(a, a) == 1.0


def test_the_best_reference_counts():
    assert values(ExactMatch().score(WEEKS, answered("Twenty-two weeks."))) == {"exact_match": 1.0}
    assert values(ExactMatch().score(WEEKS, answered("Ten weeks."))) == {"exact_match": 0.0}


@pytest.mark.parametrize("scorer", [ExactMatch(), TokenF1(), RougeL()], ids=lambda s: s.id)
def test_an_abstention_scores_0_where_there_is_an_answer_and_nothing_where_there_is_none(scorer):
    assert set(values(scorer.score(WEEKS, abstained())).values()) == {0.0}
    assert scorer.score(sample(answerable=False), answered("Ten.")) == []
    assert scorer.score(sample(), answered("Ten.")) == []


class Directions:
    id = "directions@1"

    def __call__(self, texts):
        return np.asarray(
            [{"same": [1, 0], "half": [0.5, 3**0.5 / 2], "against": [-1, 0]}[t] for t in texts], np.float32
        )


@pytest.mark.parametrize(("said", "value"), [("same", 1.0), ("half", 0.5), ("against", 0.0)])
def test_similarity_is_the_cosine_and_never_negative(said, value):
    found = values(Similarity(Directions()).score(sample(answer="same"), answered(said)))
    assert found["similarity"] == pytest.approx(value, abs=1e-6)


def test_the_id_names_the_embedder():
    assert Similarity(Directions()).id == "similarity@1(directions@1)"
