"""The schema of the database, which is the truth: indexes under `var/` are derived from it.

A *content* is one canonical text within one tenant; *documents* are the sources that hold it. Every write stamps what it
touched with the next `generation`, so an index catches up by asking for what is newer than the generation it covers.
"""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

generation = Table(
    "generation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("value", Integer, nullable=False),
)

scopes = Table(  # one row per distinct (tenant, collection, groups): what access filters select by
    "scopes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("collection", String(200), nullable=False),
    Column("groups", JSON, nullable=False),  # sorted list of names
    Column("groups_key", String(64), nullable=False),  # sha256 of that list
    UniqueConstraint("tenant", "collection", "groups_key"),
)

contents = Table(
    "contents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("sha256", String(64), nullable=False),  # of the canonical text
    Column("text", Text, nullable=False),
    Column("chunking", String(16), nullable=False, server_default=""),  # digest of the settings that cut it
    Column("generation", Integer, nullable=False, index=True),
    UniqueConstraint("tenant", "sha256"),
    sqlite_autoincrement=True,
)

tombstones = Table(  # contents that left, so that indexes can follow
    "tombstones",
    metadata,
    Column("content_id", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False, index=True),
)

documents = Table(
    "documents",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("content_id", ForeignKey("contents.id"), nullable=False, index=True),
    Column("scope_id", ForeignKey("scopes.id"), nullable=False, index=True),
    Column("uri", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("file_sha256", String(64), nullable=False),  # of the bytes as they came
    Column("size_bytes", Integer, nullable=False),
    Column("media_type", String(100), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("given", JSON),  # the part of it that came with the request, not out of the file
    Column("version", Integer, nullable=False),
    Column("ingested_at", DateTime(timezone=True), nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("collection", String(200), nullable=False),
    UniqueConstraint("tenant", "collection", "uri"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("content_id", ForeignKey("contents.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("ordinal", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("end", Integer, nullable=False),
    Column("heading_path", JSON, nullable=False),
    Column("text", Text, nullable=False),  # == contents.text[start:end], kept so that a hit needs one short read
    Column("text_sha256", String(64), nullable=False),  # of what was embedded: heading path and text
    sqlite_autoincrement=True,
)

vectors = Table(
    "vectors",
    metadata,
    Column("chunk_id", ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True),
    Column("embedder", String(120), primary_key=True),
    Column("vector", LargeBinary, nullable=False),  # float16, little endian, unit length
)

state = Table(  # small named facts: the active embedder, the instance key's fingerprint, ...
    "state",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("value", JSON, nullable=False),
)

receipts = Table(
    "receipts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("body", JSON, nullable=False),
)

receipt_documents = Table(  # which receipts quote a document, so that erasure finds them
    "receipt_documents",
    metadata,
    Column("receipt_id", ForeignKey("receipts.id", ondelete="CASCADE"), primary_key=True),
    Column("document_id", String(40), primary_key=True, index=True),
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("receipt_id", String(40), nullable=False, index=True),
    Column("tenant", String(200), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("rating", String(10), nullable=False),  # up | down
    Column("correction", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("secret_sha256", String(64), nullable=False, unique=True),
    Column("tenant", String(200), nullable=False),
    Column("groups", JSON, nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("rate_per_minute", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked", Boolean, nullable=False, default=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

erasures = Table(
    "erasures",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("document_id", String(40), nullable=False),
    Column("tenant", String(200), nullable=False),
    Column("erased_at", DateTime(timezone=True), nullable=False),
    Column("certificate", JSON, nullable=False),
)

verdicts = Table(  # what the gate said of a version; the newest of a version counts
    "verdicts",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(40), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("version", String(100), nullable=False),
    Column("digest", String(64), nullable=False),  # of the files judged; empty where a version has none
    Column("outcome", String(20), nullable=False),  # pass | fail | inconclusive
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_verdicts_subject", "name", "version"),
)

rollout_events = Table(  # append only: the state of a name is its newest event's, its history is all of them
    "rollout_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("action", String(20), nullable=False),  # start | promote | rollback
    Column("version", String(100), nullable=False),  # the one that moved
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
    Column("verdict_id", String(40), nullable=False),
    Column("state", JSON, nullable=False),  # after the event
    UniqueConstraint("name", "revision"),  # of two processes that decide at once, one loses and looks again
)

rollout_bindings = Table(  # append only: the newest row of a (tenant, collection) counts
    "rollout_bindings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("collection", String(200), nullable=False),  # empty for the whole tenant
    Column("name", String(200), nullable=False),  # empty to unbind
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
)

rollout_outcomes = Table(  # what one answer measured during a trial: numbers only, no text and no caller
    "rollout_outcomes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("key", String(40), nullable=False, index=True),  # the receipt or request, so that feedback finds it
    Column("unit", String(64), nullable=False),  # a digest of whom chance assigned
    Column("arm", String(10), nullable=False),  # candidate | incumbent | pair
    Column("share", Float, nullable=False),  # the candidate's probability then; 0 for a pair
    Column("metrics", JSON, nullable=False),
    Column("against", JSON, nullable=False),  # the incumbent's metrics on the same request, for a pair
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_rollout_outcomes_trial", "name", "trial", "id"),
)

eval_runs = Table(
    "eval_runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("suite", String(200), nullable=False, index=True),
    Column("target", Text, nullable=False),
    Column("status", String(20), nullable=False),  # running | complete | failed
    Column("fingerprint", String(64), nullable=False, index=True),  # equal for runs that can continue one another
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
    Column("summary", JSON, nullable=False),  # what it cost: rows, seconds, tokens
)

eval_rows = Table(
    "eval_rows",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("eval_runs.id", ondelete="CASCADE"), nullable=False),
    Column("sample_id", String(200), nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("run_id", "sample_id", "repeat"),
)

eval_cache = Table(  # answers and scores by the digest of all that decides them
    "eval_cache",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("kind", String(20), nullable=False),  # observation | scores | digest
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

eval_digests = Table(  # a run that ended, in one narrow row: what lists and costs are read from
    "eval_digests",
    metadata,
    Column("run_id", ForeignKey("eval_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("suite", String(200), nullable=False),
    Column("target", Text, nullable=False),
    Column("ref", Text, nullable=False),  # what the gate compared; empty for a run of its own
    Column("status", String(20), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("dataset", String(64), nullable=False),  # names its rows of eval_samples
    Column("n_rows", Integer, nullable=False),
    Column("n_cached", Integer, nullable=False),
    Column("n_failed", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Index("ix_eval_digests_suite", "suite", "created_at"),
)

eval_metrics = Table(  # its means, over all samples and over each slice, computed once when the run ends
    "eval_metrics",
    metadata,
    Column("run_id", ForeignKey("eval_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("metric", String(200), primary_key=True),
    Column("slice", String(300), primary_key=True),  # field=value of the samples' metadata; empty for all of them
    Column("place", Integer, nullable=False),  # the suite's order of metrics
    Column("suite", String(200), nullable=False),
    Column("ref", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("mean", Float),
    Column("low", Float),  # a 95 % interval, samples of one document taken together
    Column("high", Float),
    Column("n", Integer, nullable=False),
    Column("n_clusters", Integer, nullable=False),
    Column("n_errors", Integer, nullable=False),
    Column("higher_is_better", Boolean, nullable=False),
    Column("unit", String(40), nullable=False),
    Index("ix_eval_metrics_trend", "suite", "metric", "slice", "ref", "created_at"),
)

eval_values = Table(  # every sample's numbers of one run side by side, so that two runs are compared by two reads
    "eval_values",
    metadata,
    Column("run_id", ForeignKey("eval_runs.id", ondelete="CASCADE"), primary_key=True),
    Column("body", JSON, nullable=False),
)

eval_samples = Table(  # what a run asked, once for each state of a data set
    "eval_samples",
    metadata,
    Column("dataset", String(64), primary_key=True),  # evals.dataset.samples_digest
    Column("sample_id", String(200), primary_key=True),
    Column("body", JSON, nullable=False),
)

gate_reports = Table(  # everything the gate said, of whatever it compared
    "gate_reports",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("suite", String(200), nullable=False),
    Column("conclusion", String(20), nullable=False),  # pass | fail | inconclusive | infrastructure
    Column("baseline", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, index=True),
    Column("body", JSON, nullable=False),
    Index("ix_gate_reports_suite", "suite", "created_at"),
)

Index("ix_documents_scope", documents.c.tenant, documents.c.collection)
Index("ix_eval_runs_newest", eval_runs.c.created_at)
Index("ix_eval_runs_suite_newest", eval_runs.c.suite, eval_runs.c.created_at)
