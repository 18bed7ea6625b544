"""The tables of the watch: what requests left behind, what checks of drift found, alarms, and maps of what is asked.

On the same metadata as `data.tables`; apart from it because nothing that answers a question reads them.
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
    String,
    Table,
    Text,
)

from data.tables import metadata

watch_requests = (
    Table(  # one sampled request each: numbers, and its redacted words and vector where the settings keep them
        "watch_requests",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("receipt_id", String(40), nullable=False, index=True),  # joins feedback
        Column("tenant", String(200), nullable=False),
        Column("collection", String(200), nullable=False),  # empty for all
        Column("at", DateTime(timezone=True), nullable=False, index=True),
        Column("question", Text, nullable=False),  # personal data replaced by its kind; empty where it is not kept
        Column("embedder", String(120), nullable=False),
        Column("embedding", LargeBinary),  # float16, little endian, unit length
        Column("scores", JSON, nullable=False),  # of the retrieved chunks, best first
        Column("similarity", Float),  # cosine of the best chunk by the dense search
        Column("chunk_ids", JSON, nullable=False),
        Column("abstained", Boolean, nullable=False),
        Column("support", Float),  # share of sentences that are supported; null where none was checked
        Column("length", Integer, nullable=False),  # characters of the answer
        Column("latency_ms", Float, nullable=False),
        Column("prompt_tokens", Integer, nullable=False),
        Column("completion_tokens", Integer, nullable=False),
        Column("toxicity", Float),  # of the answer, where it is measured
        Column("model", String(200), nullable=False),
        Column("adapter", String(200), nullable=False),
        Index("ix_watch_requests_tenant", "tenant", "at"),
        Index(  # sums by day read nothing but this: rows carry vectors
            "ix_watch_requests_usage",
            *("at", "model", "abstained", "support", "latency_ms", "prompt_tokens", "completion_tokens"),
        ),
    )
)

drift_checks = Table(
    "drift_checks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("watch", String(200), nullable=False),  # the name in the config
    Column("kind", String(20), nullable=False),  # language | tabular
    Column("outcome", String(20), nullable=False),  # quiet | alarm | too_few
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("window_start", DateTime(timezone=True), nullable=False),
    Column("window_end", DateTime(timezone=True), nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_drift_checks_watch", "watch", "window_end"),
)

drift_values = Table(  # what a monitor measured in one window
    "drift_values",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_id", ForeignKey("drift_checks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("watch", String(200), nullable=False),
    Column("monitor", String(200), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),  # the end of the window
    Column("value", Float),
    Column("low", Float),
    Column("high", Float),
    Column("threshold", Float),
    Column("is_alarm", Boolean, nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_drift_values_monitor", "watch", "monitor", "at"),
)

drift_alarms = Table(
    "drift_alarms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("watch", String(200), nullable=False, index=True),
    Column("opened_at", DateTime(timezone=True), nullable=False, index=True),
    Column("confirmed_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    Column("harm", Float),
    Column("suite", String(200), nullable=False),  # the generated one; empty before it is confirmed
    Column("body", JSON, nullable=False),
)

drift_silences = Table(
    "drift_silences",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("watch", String(200), nullable=False),
    Column("monitor", String(200), nullable=False),  # empty for all of the watch
    Column("until", DateTime(timezone=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("who", String(200), nullable=False),
    Column("why", Text, nullable=False),
)

drift_map_points = Table(  # queries and chunks of one check in two dimensions
    "drift_map_points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("check_id", ForeignKey("drift_checks.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("kind", String(10), nullable=False),  # query | chunk
    Column("x", Float, nullable=False),
    Column("y", Float, nullable=False),
    Column("cluster", Integer, nullable=False),  # -1 for none
    Column("is_gap", Boolean, nullable=False),
    Column("label", Text, nullable=False),  # the redacted question, or the chunk's id
)
