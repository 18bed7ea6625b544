"""Citations as numbers and addresses."""

from urllib.parse import parse_qs, urlsplit

from app.web.answers import shown, source_link
from data.records import Answer, Sentence
from tests.app.api.fake_assay import SENTENCES, cite


def test_a_place_that_is_cited_twice_has_one_number():
    first, second = (cite(s) for s in SENTENCES)
    sentences = (
        Sentence(text="a", citations=(first,)),
        Sentence(text="b", citations=(second, first, second)),
        Sentence(text="c"),
    )
    result = shown(Answer(text="a b c", sentences=sentences))
    assert [s.numbers for s in result.sentences] == [(1,), (2, 1), ()]
    assert result.sources == (first, second)


def test_the_address_of_a_citation_names_the_place_the_version_and_the_words():
    citation = cite(SENTENCES[1]).model_copy(update={"document_id": "a/b?c#d"})
    address = urlsplit(source_link(citation))
    assert address.path == "/documents/a%2Fb%3Fc%23d"
    assert address.fragment == "cited"
    query = {name: value for name, (value,) in parse_qs(address.query).items()}
    assert query == {
        "start": str(citation.start),
        "end": str(citation.end),
        "version": "1",
        "quote": citation.quote_sha256,
    }
