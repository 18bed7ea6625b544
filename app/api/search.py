"""`POST /v1/search`: chunks without an answer."""

from fastapi import APIRouter
from fastapi.responses import Response

from app.api.access import Reader
from app.api.replies import json_reply
from app.api.service import Served
from app.api.wire import Filters, Hits, Name, Request, Text, check_k, check_question
from data.records import Query, SearchMode, SearchResult

router = APIRouter(prefix="/v1", tags=["retrieval"])


class SearchRequest(Request):
    query: Text
    collection: Name | None = None
    """Search this collection only."""
    filters: Filters = ()
    """Conditions on metadata, applied inside the search."""
    k: Hits = 10
    mode: SearchMode = SearchMode.HYBRID


@router.post("/search", response_model=SearchResult)
async def search(body: SearchRequest, principal: Reader, served: Served) -> Response:
    """The best chunks that the caller may read, each with the rank and score of every stage."""
    query = Query(
        text=check_question(body.query, served.config, field="query"),
        principal=principal,
        collection=body.collection,
        filters=body.filters,
        k=check_k(body.k, served.config),
        mode=body.mode,
    )
    result = await served.workers.run(served.assay.search, query)
    served.metrics.searched(result)
    return json_reply(result)
