"""The tables of tabular predictions: a sample of what was answered, and the labels that came later.

On the same metadata as `data.tables`; apart from it because nothing that answers a question reads them.
"""

from sqlalchemy import JSON, Boolean, Column, DateTime, Float, Index, Integer, LargeBinary, String, Table

from data.tables import metadata

predictions = Table(
    "predictions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(160), nullable=False, index=True),  # request id and place: what a client is told
    Column("entity", String(200), nullable=False),  # the row's own id, by the table's spec; empty where it was not sent
    Column("tenant", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("version", String(100), nullable=False),
    Column("stage", String(10), nullable=False),  # champion | canary | shadow; pinned where the request chose a version
    Column("trial", Integer, nullable=False),  # of the rollout that routed it; 0 outside one
    Column("score", Float, nullable=False),
    Column("decision", Boolean, nullable=False),
    Column("row", JSON, nullable=False),  # as it came
    Column("features", LargeBinary, nullable=False),  # float32, little endian, as the model read them
    Column("at", DateTime(timezone=True), nullable=False, index=True),
    Index("ix_predictions_model_at", "model", "at"),
    Index("ix_predictions_model_entity", "model", "entity"),
)

prediction_labels = Table(  # append only: the newest of a subject counts
    "prediction_labels",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("subject", String(200), nullable=False),  # a prediction's key, or a row's own id
    Column("label", Boolean, nullable=False),  # whether it was positive
    Column("known_at", DateTime(timezone=True), nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("ix_prediction_labels_subject", "model", "subject"),
)
