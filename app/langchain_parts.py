"""Assay inside anyone's chain: a LangChain retriever, and the whole pipeline as a Runnable.

retriever = AssayRetriever(assay=open_assay(load_settings()), k=5)
chain = answering(assay) | (lambda answer: answer.text)
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from data.records import Answer, AnswerEvent, EventType, Filter, Hit, Principal, Query, SearchMode

if TYPE_CHECKING:
    from app.assay import Assay


class AssayRetriever(BaseRetriever):
    """Hybrid retrieval with access control. Each document's metadata carries what a citation needs."""

    assay: Any
    principal: Principal = Principal()
    collection: str | None = None
    filters: tuple[Filter, ...] = ()
    k: int = 8
    mode: SearchMode = SearchMode.HYBRID

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        asked = Query(
            text=query,
            principal=self.principal,
            collection=self.collection,
            filters=self.filters,
            k=self.k,
            mode=self.mode,
        )
        return [_document(hit) for hit in self.assay.search(asked).hits]


def answering(assay: "Assay", principal: Principal | None = None, **options: Any) -> Runnable[str, Answer]:
    """A Runnable from question to `Answer`; `options` are those of `Assay.ask`."""

    def ask(question: str) -> Answer:
        events = assay.ask(question, principal=principal or Principal(), **options)
        return next(event.answer for event in events if event.type is EventType.FINAL)

    return RunnableLambda(ask, name="assay")


def streaming(assay: "Assay", principal: Principal | None = None, **options: Any) -> Runnable[str, AnswerEvent]:
    """A Runnable from question to its `AnswerEvent`s, one by one as they happen: for `stream` and `astream`."""

    def ask(questions: Iterator[str]) -> Iterator[AnswerEvent]:
        for question in questions:
            yield from assay.ask(question, principal=principal or Principal(), **options)

    async def ask_aside(questions: AsyncIterator[str]) -> AsyncIterator[AnswerEvent]:
        async for question in questions:
            events = assay.ask(question, principal=principal or Principal(), **options)
            while (event := await asyncio.to_thread(next, events, None)) is not None:
                yield event

    return RunnableGenerator(ask, ask_aside, name="assay-stream")


def _document(hit: Hit) -> LangChainDocument:
    chunk = hit.chunk
    return LangChainDocument(
        id=chunk.id,
        page_content=chunk.text,
        metadata={
            **hit.metadata,
            "document_id": chunk.document_id,
            "start": chunk.start,
            "end": chunk.end,
            "heading_path": list(chunk.heading_path),
            "title": hit.sources[0].title,
            "uri": hit.sources[0].uri,
            "score": hit.score,
        },
    )
