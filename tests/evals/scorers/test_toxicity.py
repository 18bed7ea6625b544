import math

from data.records import Sample
from evals.scorers.toxicity import ToxicityScorer
from tests.evals.observations import abstained, answered, hit

SAMPLE = Sample(id="1", question="?")


def rude(texts):
    return [0.9 if "fool" in text else 0.1 for text in texts]


def test_the_worst_sentence_counts_and_a_quoted_one_is_told_apart():
    own = answered("All is well.", "You are a fool.")
    quoted = answered("You are a fool.", hits=(hit("He wrote: You are a fool."),))
    (first,), (second,) = (ToxicityScorer(rude).score(SAMPLE, seen) for seen in (own, quoted))
    assert (first.value, first.detail) == (0.9, {"is_quoted": False})
    assert (second.value, second.detail) == (0.9, {"is_quoted": True})


def test_an_abstention_is_scored_by_its_words():
    assert ToxicityScorer(rude).score(SAMPLE, abstained())[0].value == 0.1


def test_a_broken_model_is_an_error():
    (score,) = ToxicityScorer(lambda texts: [math.nan] * len(texts)).score(SAMPLE, answered("Yes."))
    assert (score.value, bool(score.error)) == (None, True)
