import asyncio

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnablePassthrough

from app.langchain_parts import AssayRetriever, answering, streaming
from data.errors import InvalidInput
from data.records import EventType, Principal
from tests.app.answering_product import put, told_product

QUESTION = "How many weeks of parental leave may parents take?"


@pytest.fixture
def assay(tmp_path):
    with told_product(tmp_path) as opened:
        put(opened, "pay.md", "# Pay\n\nParents pay no parental leave tax.\n", groups=frozenset({"hr"}))
        yield opened


def test_the_retriever_drops_into_a_chain(assay):
    retriever = AssayRetriever(assay=assay, k=1)
    prompt = ChatPromptTemplate.from_template("{context}\n\n{question}")
    shown = []

    def kept(value):
        shown.append(value.to_string())
        return value

    chain = (
        {"context": retriever | (lambda found: found[0].page_content), "question": RunnablePassthrough()}
        | prompt
        | kept
        | FakeListChatModel(responses=["22"])
        | StrOutputParser()
    )
    assert chain.invoke(QUESTION) == "22"
    assert "twenty-two weeks" in shown[0]


def test_documents_carry_what_a_citation_needs(assay):
    (found,) = AssayRetriever(assay=assay, k=1).invoke(QUESTION)
    text = assay.document(found.metadata["document_id"], Principal()).text
    assert text[found.metadata["start"] : found.metadata["end"]] == found.page_content
    assert found.metadata["title"] == "Parental leave"


def test_the_retriever_keeps_to_its_principals_rights(assay):
    titles = {d.metadata["title"] for d in AssayRetriever(assay=assay).invoke(QUESTION)}
    assert "Pay" not in titles
    hr = AssayRetriever(assay=assay, principal=Principal(groups=frozenset({"hr"})))
    assert "Pay" in {d.metadata["title"] for d in hr.invoke(QUESTION)}
    assert AssayRetriever(assay=assay, principal=Principal(tenant="rival")).invoke(QUESTION) == []


def test_answering_is_a_runnable_from_question_to_answer(assay):
    chain = answering(assay) | (lambda answer: answer.text)
    assert "twenty-two weeks" in chain.invoke(QUESTION)
    leave, tea = chain.batch([QUESTION, "Is tea free in every kitchen?"])
    assert "twenty-two" in leave
    assert "Tea is free" in tea
    assert "twenty-two" in asyncio.run(chain.ainvoke(QUESTION))


def test_errors_come_through_a_chain_as_they_are(assay):
    with pytest.raises(InvalidInput, match="empty"):
        answering(assay).invoke("")


def test_streaming_gives_events_as_they_happen(assay):
    came = list(streaming(assay, strict=True).stream(QUESTION))
    assert came[0].type is EventType.RETRIEVAL
    assert came[-1].type is EventType.FINAL


def test_streaming_works_in_an_event_loop(assay):
    async def read():
        return [event async for event in streaming(assay).astream(QUESTION)]

    came = asyncio.run(read())
    assert [came[0].type, came[-1].type] == [EventType.RETRIEVAL, EventType.FINAL]
