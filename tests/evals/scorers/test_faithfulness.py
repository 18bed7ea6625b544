import math

import pytest

from data.records import Sample
from evals.scorers.faithfulness import FaithfulnessScorer
from tests.evals.observations import abstained, answered, citing, hit

SAMPLE = Sample(id="1", question="How long is the leave?")
LEAVE = hit("The leave is 22 weeks. It is paid in full.")


def word_for_word(pairs):
    return [float(hypothesis in premise) for premise, hypothesis in pairs]


def test_the_share_of_sentences_that_their_own_citation_supports():
    seen = answered(
        ("The leave is 22 weeks.", [citing(LEAVE, "The leave is 22 weeks.")]),
        ("It is paid in full.", [citing(LEAVE, "The leave is 22 weeks.")]),
        "Everyone likes it.",
        ("It is paid in full.", [citing(LEAVE, "It is paid in full.")]),
    )
    (score,) = FaithfulnessScorer(word_for_word).score(SAMPLE, seen)
    assert score.value == 0.5
    assert score.detail["unsupported"] == ["It is paid in full.", "Everyone likes it."]


def test_sources_may_support_a_sentence_only_together():
    def both(pairs):
        return [float("22 weeks" in premise and "in full" in premise) for premise, _ in pairs]

    cited = [citing(LEAVE, "The leave is 22 weeks."), citing(LEAVE, "It is paid in full.")]
    (score,) = FaithfulnessScorer(both).score(SAMPLE, answered(("22 weeks, in full.", cited)))
    assert score.value == 1.0


def test_against_all_that_was_retrieved_an_uncited_sentence_can_be_faithful():
    seen = answered("It is paid in full.", hits=(hit("Nothing."), LEAVE))
    assert FaithfulnessScorer(word_for_word).score(SAMPLE, seen)[0].value == 0.0
    assert FaithfulnessScorer(word_for_word, against="retrieved").score(SAMPLE, seen)[0].value == 1.0


def test_an_answer_that_abstains_is_neither_faithful_nor_not():
    assert FaithfulnessScorer(word_for_word).score(SAMPLE, abstained()) == []


@pytest.mark.parametrize("given", [[math.nan], []])
def test_a_broken_model_is_an_error_and_never_a_number(given):
    seen = answered(("It is paid in full.", [citing(LEAVE, "It is paid in full.")]))
    (score,) = FaithfulnessScorer(lambda pairs: given).score(SAMPLE, seen)
    assert score.value is None
    assert "no number" in score.error


def test_the_model_and_the_options_are_part_of_the_scorers_name():
    names = {FaithfulnessScorer(word_for_word, t, a).id for t in (0.5, 0.6) for a in ("cited", "retrieved")}
    assert len(names) == 4
