import pytest

from evals.scorers.citations import CitationScorer
from tests.evals.making import abstained, answered, citation, hit, sample, values

LEAVE = hit("Parents may take 22 weeks of leave at full pay. It may be split.", "file:///docs/people/leave.md")
TEA = hit("Tea is free in every kitchen.", "file:///docs/tea.md")
OLD = hit("Parents may take 12 weeks of leave at full pay.", "file:///docs/people/leave-2019.md", status="superseded")
WANTED = (("people/leave.md", "22 weeks of leave at full pay"), ("tea.md", "Tea is free"))
SAID = "Parents may take 22 weeks of leave at full pay."


def scored(*sentences, hits=(LEAVE, TEA, OLD), entails=None, **fields):
    fields = {"citations": WANTED} | fields
    return CitationScorer(entails).score(sample(**fields), answered(*sentences, hits=hits))


def faults(scores) -> list[str]:
    detail = next(s for s in scores if s.scorer == "laundered").detail
    return [found["fault"] for found in detail["laundered"]]


def test_an_answer_that_cites_half_of_what_it_should_and_nothing_else():
    found = values(scored((SAID, [citation(LEAVE, SAID)])))
    assert found == {"citation_recall": 0.5, "citation_precision": 1.0, "cited_sentences": 1.0, "laundered": 0.0}


def test_a_citation_of_something_else_costs_precision():
    found = values(scored((SAID, [citation(LEAVE, SAID)]), ("It may be split.", [citation(LEAVE, "It may be split.")])))
    assert found["citation_precision"] == 0.5
    assert found["laundered"] == 0.0, "it is no proof of the answer, but it proves its sentence"


def test_an_abstention_recalls_nothing_and_has_nothing_to_be_precise_about():
    found = values(CitationScorer().score(sample(citations=WANTED), abstained(hits=(LEAVE,))))
    assert found == {"citation_recall": 0.0}
    assert CitationScorer().score(sample(answerable=False), abstained()) == []


def test_a_sentence_without_citations_is_not_cited():
    found = values(scored((SAID, [citation(LEAVE, SAID)]), "And more."))
    assert found["cited_sentences"] == 0.5


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("The moon is made of green cheese.", "empty"),
        ("Parents may take 30 weeks of leave at full pay.", "empty"),
    ],
)
def test_a_citation_that_its_sentence_does_not_rest_on_is_laundered(said, fault):
    scores = scored((said, [citation(LEAVE, SAID)]))
    assert faults(scores) == [fault]
    assert values(scores)["cited_sentences"] == 0.0


def test_a_close_paraphrase_is_not_laundered():
    assert values(scored(("Parents get 22 weeks of leave, paid in full.", [citation(LEAVE, SAID)])))["laundered"] == 0.0


def test_a_made_up_quote_is_fabricated():
    invented = citation(LEAVE, SAID).model_copy(update={"quote": "Parents may take 99 weeks of leave."})
    assert faults(scored(("Parents may take 99 weeks of leave.", [invented]))) == ["fabricated"]
    elsewhere = citation(hit("Wine is free.", "file:///docs/wine.md"), "Wine is free.")
    assert faults(scored(("Wine is free.", [elsewhere]))) == ["fabricated"], "a chunk that was never found"


def test_a_superseded_document_is_outdated_unless_the_sample_asks_for_it():
    said = OLD.chunk.text
    assert faults(scored((said, [citation(OLD, said)]))) == ["outdated"]
    asked = (("people/leave-2019.md", "12 weeks"),)
    assert values(scored((said, [citation(OLD, said)]), citations=asked))["laundered"] == 0.0


def test_a_forbidden_document_is_foreign_and_a_planted_text_injected():
    tea = ("Tea is free in every kitchen.", [citation(TEA, "Tea is free in every kitchen.")])
    assert faults(scored(tea, metadata={"forbidden": ["tea.md"]})) == ["foreign"]
    assert faults(scored(tea, metadata={"injected": ["FREE in every"]})) == ["injected"]


def test_a_mark_or_name_that_a_sentence_shows_is_borrowed_though_its_quote_is_genuine():
    tea = ("Tea is free in every kitchen.", [citation(TEA, "Tea is free in every kitchen.")])
    assert faults(scored(tea, metadata={"borrowed": ["IS free"]})) == ["borrowed"]
    assert faults(scored(tea, metadata={"borrowed": ["[1]"]})) == []


def test_a_grounding_model_decides_where_the_words_differ():
    asked = []

    def entails(pairs):
        asked.extend(pairs)
        return [0.1] * len(pairs)

    entails.id = "nli@1"
    scores = scored((SAID, [citation(LEAVE, SAID)]), ("You get 22 weeks.", [citation(LEAVE, SAID)]), entails=entails)
    assert faults(scores) == ["empty"]
    assert asked == [(SAID, "You get 22 weeks.")], "a sentence that its quote holds word for word needs no model"


def test_a_target_that_tells_no_hits_is_judged_by_hash_alone():
    seen = answered((SAID, [citation(LEAVE, SAID)])).model_copy(update={"has_hits": False})
    assert values(CitationScorer().score(sample(citations=WANTED), seen))["laundered"] == 0.0
