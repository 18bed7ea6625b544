"""The things that flow between packages: frozen pydantic models, no behaviour beyond what their fields imply.

Offsets are character offsets (Python `str` indices) into a document's canonical text, end exclusive.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

EVERYONE = "everyone"
"""The group every principal belongs to; a document ingested without groups is readable by it alone."""

Scalar = str | int | float | bool
Groups = frozenset[str]


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Principal(Record):
    """Who asks. Sees documents of its `tenant` whose groups meet its own (`EVERYONE` is always one of them)."""

    tenant: str = "default"
    groups: Groups = frozenset()
    subject: str = "local"

    @property
    def effective_groups(self) -> Groups:
        return self.groups | {EVERYONE}


class Document(Record):
    """One source as ingested. Sources with equal text share storage, and each keeps its own groups."""

    id: str
    uri: str
    title: str
    text: str
    sha256: str
    tenant: str
    collection: str
    groups: Groups
    metadata: dict[str, Scalar] = {}
    ingested_at: datetime
    version: int = 1


class Chunk(Record):
    """A stretch of a document's canonical text: `document.text[start:end] == text`. Its id is `<document id>#<ordinal>`."""

    id: str
    document_id: str
    document_version: int
    ordinal: int
    start: int
    end: int
    heading_path: tuple[str, ...] = ()
    text: str


class FilterOp(StrEnum):
    EQUALS = "equals"
    IN = "in"
    RANGE = "range"
    PREFIX = "prefix"


class Filter(Record):
    """A condition on one metadata field (or on `uri`, `title`, `document_id`), applied inside the search.

    `equals` and `prefix` use `value`; `in` uses `values`; `range` uses `gte`, `gt`, `lte`, `lt`.
    """

    field: Annotated[str, Field(min_length=1, max_length=100)]
    op: FilterOp = FilterOp.EQUALS
    value: Scalar | None = None
    values: tuple[Scalar, ...] = ()
    gte: int | float | str | None = None
    gt: int | float | str | None = None
    lte: int | float | str | None = None
    lt: int | float | str | None = None


class SearchMode(StrEnum):
    LEXICAL = "lexical"
    DENSE = "dense"
    HYBRID = "hybrid"


class Query(Record):
    text: str
    principal: Principal = Principal()
    collection: str | None = None
    filters: tuple[Filter, ...] = ()
    k: Annotated[int, Field(ge=1, le=1000)] = 10
    mode: SearchMode = SearchMode.HYBRID
    conversation_id: str | None = None


class StageScore(Record):
    """Rank (from 1) and raw score that one stage (`lexical`, `dense`, `fusion`, `rerank`) gave a chunk."""

    rank: int
    score: float


class SourceRef(Record):
    """A document that holds a chunk's text and that the principal may read."""

    document_id: str
    uri: str
    title: str
    version: int


OUTDATED = frozenset({"superseded", "outdated", "archived", "obsolete", "withdrawn"})


class Hit(Record):
    """A retrieved chunk. `sources` lists every visible document with this very text, the cited one first."""

    chunk: Chunk
    score: float
    stages: dict[str, StageScore] = {}
    sources: tuple[SourceRef, ...] = ()
    metadata: dict[str, Scalar] = {}

    @property
    def is_outdated(self) -> bool:
        """Whether the document's own `status` says that it no longer holds."""
        return str(self.metadata.get("status", "")).lower() in OUTDATED


class SearchResult(Record):
    """Best hit first. `timings_ms` maps stage to milliseconds; `snapshot_id` names the index state searched."""

    hits: tuple[Hit, ...]
    snapshot_id: str
    timings_ms: dict[str, float] = {}


class Citation(Record):
    """`document.text[start:end] == quote` and `sha256(quote) == quote_sha256`; checked before an answer is released."""

    document_id: str
    document_version: int
    chunk_id: str
    start: int
    end: int
    quote: str
    quote_sha256: str
    title: str = ""
    uri: str = ""
    support: float | None = None
    """How strongly the quote supports its sentence, 0 to 1; None when it was not scored."""


class Support(StrEnum):
    SUPPORTED = "supported"
    UNSUPPORTED = "unsupported"
    UNCHECKED = "unchecked"


class Sentence(Record):
    text: str
    citations: tuple[Citation, ...] = ()
    support: Support = Support.UNCHECKED


class Usage(Record):
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens


class Withheld(Record):
    """A stretch of a retrieved chunk, `document.text[start:end]`, that screening kept from the answerer, and why."""

    chunk_id: str
    start: int
    end: int
    reason: str


class Answer(Record):
    text: str
    sentences: tuple[Sentence, ...]
    abstained: bool = False
    abstain_reason: str = ""
    model: str = ""
    fallback_from: str = ""
    """The model that should have answered, when the extractive answer stood in for it."""
    dropped_citations: int = 0
    """Citation markers that the model wrote and that pointed to nothing it was shown."""
    withheld: tuple[Withheld, ...] = ()
    """What of the retrieved chunks the answerer was not shown."""
    usage: Usage = Usage()
    timings_ms: dict[str, float] = {}
    receipt_id: str = ""
    conversation_id: str | None = None


class ReceiptHit(Record):
    """What retrieval returned, without its text: enough to compare two retrievals bit for bit."""

    chunk_id: str
    document_version: int
    text_sha256: str
    start: int
    end: int
    score: float
    stages: dict[str, StageScore] = {}


class Receipt(Record):
    """Everything an answer came from. `sha256` covers all other fields in canonical JSON."""

    id: str
    created_at: datetime
    principal: Principal
    question: str
    search_text: str
    """What was searched: the question, rewritten against the conversation where there was one."""
    query: Query
    snapshot_id: str
    hits: tuple[ReceiptHit, ...]
    answer: Answer
    prompt: str = ""
    """name@version of the prompt template; empty for the extractive answer."""
    prompt_sha256: str = ""
    model: str = ""
    adapter: str = ""
    model_digest: str = ""
    decode: dict[str, JsonValue] = {}
    versions: dict[str, str] = {}
    sha256: str = ""


class EventType(StrEnum):
    RETRIEVAL = "retrieval"
    MESSAGE = "message"
    CITATION = "citation"
    FINAL = "final"


class AnswerEvent(Record):
    """One step of a streamed answer; exactly the field named by `type` is set (`message` carries `sentence`)."""

    type: EventType
    result: SearchResult | None = None
    sentence: Sentence | None = None
    citation: Citation | None = None
    answer: Answer | None = None


class Sample(Record):
    """One evaluation case. `citations` are (uri, quote) pairs that a right answer rests on."""

    id: str
    question: str
    answer: str | None = None
    answerable: bool = True
    citations: tuple[tuple[str, str], ...] = ()
    metadata: dict[str, JsonValue] = {}


class Score(Record):
    """One measured value. An error is never a number: `value` is None when `error` is set."""

    scorer: str
    value: float | None
    error: str = ""
    detail: dict[str, JsonValue] = {}


class Observation(Record):
    """What a target gave for one sample: an answer and the hits it rests on, or why there is none."""

    answer: Answer | None = None
    hits: tuple[Hit, ...] = ()
    has_hits: bool = True
    """Whether the target tells what it retrieved; where it does not, empty `hits` say nothing."""
    confidence: float | None = None
    """How sure the target was that its answer is one, also where it then abstained; None when it does not say."""
    latency_ms: float = 0.0
    error: str = ""


class EvalRow(Record):
    """One sample of one run with its scores. Rows of one `cluster` share a document and are not independent."""

    run_id: str
    sample_id: str
    repeat: int = 0
    cluster: str = ""
    input_sha256: str
    observation: Observation
    scores: tuple[Score, ...] = ()
    is_cached: bool = False


class EvalRun(Record):
    """One run with everything needed to repeat it."""

    id: str
    suite: str
    created_at: datetime
    target: str
    config: dict[str, JsonValue] = {}
    versions: dict[str, str] = {}
    status: Literal["running", "complete", "failed", "stopped"] = "running"
    """`stopped`: by the gate, which knew enough; not by a fault."""


class Outcome(StrEnum):
    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Verdict(Record):
    """What the gate said of one version, byte for byte (`digest`). A version's newest verdict is the one that counts."""

    id: str
    name: str
    version: str
    outcome: Outcome
    created_at: datetime
    digest: str = ""
    detail: dict[str, JsonValue] = {}
