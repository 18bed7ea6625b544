from itertools import pairwise

import pytest

from data.records import Chunk, Hit, SourceRef
from retrieval.embedding import HashingEmbedder
from serving.local.quotable import units
from serving.local.reader import ExtractiveReader, ReaderConfig, _Candidate, _pointed_at_first, parts_of

LEAVE = "Parents get twenty-two weeks of leave at full pay. The leave may be split into three blocks. Ask Leila first."
SITES = "| Site | Opened | People |\n| --- | --- | --- |\n| Moor | 2009 | 61 |\n| Quay | 2018 | 25 |\n"


def hit(text: str, name: str = "a", *path: str, start: int = 0, **metadata) -> Hit:
    chunk = Chunk(
        id=f"{name}#0",
        document_id=name,
        document_version=1,
        ordinal=0,
        start=start,
        end=start + len(text),
        heading_path=path,
        text=text,
    )
    source = SourceRef(document_id=name, uri=f"x://{name}", title=name, version=1)
    return Hit(chunk=chunk, score=1.0, sources=(source,), metadata=metadata)


def reader(**config) -> ExtractiveReader:
    embedder = HashingEmbedder(256)
    return ExtractiveReader(
        lambda texts, kind: embedder.embed(texts, kind=kind), ReaderConfig(**{"threshold": 0.1} | config)
    )


def answered(question: str, *hits: Hit, **config) -> list[str]:
    return [e.text for e in reader(**config).answer(question, hits).extracts]


def test_the_best_sentence_comes_first_with_offsets_into_the_document():
    draft = reader().answer("How many weeks of leave do parents get?", [hit(LEAVE, start=1000)])
    first = draft.extracts[0]
    assert first.text == "Parents get twenty-two weeks of leave at full pay."
    assert LEAVE[first.start - 1000 : first.end - 1000] == first.text
    assert draft.confidence == max(e.score for e in draft.extracts)


def test_nothing_is_answered_below_the_threshold_and_the_confidence_is_told():
    draft = reader(threshold=0.99).answer("How many weeks of leave do parents get?", [hit(LEAVE)])
    assert draft.extracts == ()
    assert 0 < draft.confidence < 0.99


@pytest.mark.parametrize("question", ["", "the of and", "???"])
def test_a_question_without_content_has_no_answer(question):
    assert reader().answer(question, [hit(LEAVE)]).extracts == ()


def test_no_hits_have_no_answer():
    assert (reader().answer("Why?", []).extracts, reader().answer("Why?", []).confidence) == ((), 0.0)


def test_a_row_answers_by_the_names_of_its_columns_and_headers_never_do():
    assert answered("How many people are at the site Quay?", hit(SITES))[0] == "| Quay | 2018 | 25 |"
    assert not any("Site" in text for text in answered("Which site opened with how many people?", hit(SITES)))


def test_a_number_is_preferred_where_one_is_asked_for():
    text = "The van parking fee is listed in the portal. The van parking fee is nine crowns."
    assert answered("What is the van parking fee?", hit(text)) != []
    assert answered("How much is the van parking fee?", hit(text), margin=0)[0].endswith("nine crowns.")


def test_the_row_with_the_code_of_the_question_is_preferred():
    text = "| Id | Due |\n| --- | --- |\n| RS-032 | May 2027 |\n| RS-041 | June 2027 |\n"
    assert answered("When is RS-041 due?", hit(text), margin=0) == ["| RS-041 | June 2027 |"]


@pytest.mark.parametrize("status", ["superseded", "Archived", "obsolete"])
def test_the_current_version_beats_the_outdated_one_even_when_that_ranks_first(status):
    old = hit("Remote work is allowed two days a week.", "old", status=status)
    new = hit("Remote work is allowed three days a week.", "new", status="current")
    assert answered("How many days a week is remote work allowed?", old, new) == [new.chunk.text]
    assert answered("How many days a week is remote work allowed?", old)[0] == old.chunk.text


RULE, EXCEPTION = "Every parent may take 22 weeks at full pay.", "Those employed for less get 8 weeks."


@pytest.mark.parametrize(
    ("between", "ranks", "first"),
    [
        (" It may be split. ", (1.8, 2.0), RULE),
        (" It may be split. ", (1.6, 2.0), EXCEPTION),  # too far behind
        ("\n\n", (1.8, 2.0), EXCEPTION),  # another paragraph
        (" " + "It may be split. " * 10, (1.8, 2.0), EXCEPTION),  # too far away
        (" It may be split. ", (2.0, 1.8), RULE),
    ],
)
def test_a_sentence_that_points_back_comes_after_the_one_it_points_to(between, ranks, first):
    one = hit(f"{RULE}{between}{EXCEPTION}")
    found = [next(unit for unit in units(one.chunk) if unit.said == said) for said in (RULE, EXCEPTION)]
    candidates = [_Candidate(one, unit, "", 0.0, 0.0) for unit in found]
    order = sorted((0, 1), key=lambda i: -ranks[i])
    assert candidates[_pointed_at_first(order, candidates, ranks)[0]].unit.said == first


def test_each_part_of_a_question_gets_its_answer():
    cost = hit("The Gold contract costs EUR 1950 a year.", "a")
    speed = hit("The turnaround of the Gold contract is three days.", "b")
    other = hit("The Silver contract costs EUR 480 a year. The Silver turnaround is slow.", "c")
    found = answered("What does the Gold contract cost, and how fast is its turnaround?", cost, speed, other)
    assert found[:2] == [cost.chunk.text, speed.chunk.text]


@pytest.mark.parametrize(
    ("question", "n"),
    [
        ("What does it cost, and who pays?", 2),
        ("When and where is the party, and what is raffled?", 3),
        ("How long is leave?", 1),
        ("Do cats and dogs get along?", 1),
    ],
)
def test_a_question_is_taken_apart_at_its_question_words(question, n):
    assert len(parts_of(question)) == n


def test_what_a_follow_up_carries_along_counts_less_than_what_it_asks():
    text = "Parents get weeks of parental leave. Part-timers get leave in proportion."
    assert answered("And for part-timers? (weeks parental leave parents)", hit(text))[0].startswith("Part-timers")


def test_the_same_words_from_two_documents_are_told_once():
    found = answered("How many weeks of leave do parents get?", hit(LEAVE, "a"), hit(LEAVE, "b"))
    assert len(found) == len(set(found))


def test_overlapping_chunks_of_a_document_are_told_once():
    first, second = hit(LEAVE), hit(LEAVE[:50] + " x", "a", start=0)
    found = reader().answer("How many weeks of leave do parents get?", [first, second]).extracts
    spans = sorted((e.start, e.end) for e in found)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_an_answer_has_at_most_so_many_sentences():
    text = " ".join(f"Leave number {n} is for parents." for n in range(9))
    assert len(answered("Which leave is for parents?", hit(text), sentences=2)) == 2


def test_the_digest_changes_with_the_settings_and_only_with_them():
    assert reader().digest == reader().digest != reader(margin=0.5).digest


def with_spans(log_odds: dict[str, float], weight: float, asked: list | None = None) -> ExtractiveReader:
    """A reader whose adapter gives each sentence these log-odds."""
    embedder = HashingEmbedder(256)

    def spans(question, texts):
        if asked is not None:
            asked.extend(texts)
        return [next((value for words, value in log_odds.items() if words in text), -5.0) for text in texts]

    config = ReaderConfig(threshold=0.1, weight_spans=weight)
    return ExtractiveReader(lambda texts, kind: embedder.embed(texts, kind=kind), config, spans, "reader@1")


TWO = "The office of Bergen opens at eight. The office of Bergen was opened by Ada."


def test_the_adapter_decides_between_sentences_as_much_as_it_weighs():
    question = "When does the office of Bergen open?"
    said = {"Ada": 6.0, "eight": -6.0}
    assert "Ada" in with_spans(said, 0.8).answer(question, [hit(TWO)]).extracts[0].text
    assert "eight" in with_spans(said, 0.0).answer(question, [hit(TWO)]).extracts[0].text


def test_what_the_adapter_holds_for_no_answer_is_not_answered():
    draft = with_spans({}, 0.9).answer("When does the office of Bergen open?", [hit(TWO)])
    assert draft.extracts == ()


def test_the_adapter_reads_a_few_sentences_and_none_where_it_weighs_nothing():
    text = " ".join(f"Office number {n} opens early." for n in range(9))
    asked = []
    with_spans({}, 0.5, asked).answer("When does the office open?", [hit(text)])
    assert len(asked) == 3
    with_spans({}, 0.0, asked).answer("When does the office open?", [hit(text)])
    assert len(asked) == 3


def test_the_digest_names_the_adapter():
    assert with_spans({}, 0.5).digest != reader(threshold=0.1, weight_spans=0.5).digest
