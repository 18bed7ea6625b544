"""What Feast knows about policies: entity, source, view, service. `feast apply` reads this file; paths are relative to the repository's folder."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

TTL = timedelta(days=365)
"""A fact true longer ago than this is missing."""

policy = Entity(name="policy", join_keys=["policy_id"], value_type=ValueType.STRING, description="A motor policy.")

policy_source = FileSource(
    name="policy_history",
    path="policy_history.parquet",
    timestamp_field="event_timestamp",
    created_timestamp_column="created_timestamp",
    description="Facts about policies: true from event_timestamp on, known from created_timestamp on.",
)

policy_facts = FeatureView(
    name="policy_facts",
    entities=[policy],
    ttl=TTL,
    schema=[
        Field(name="annual_premium", dtype=Float64, description="What the policy costs a year"),
        Field(name="credit_score", dtype=Float64, description="The holder's credit score"),
        Field(name="n_address_changes", dtype=Float64, description="How often the holder has moved"),
        Field(name="n_claims_before", dtype=Float64, description="Earlier claims on the policy"),
    ],
    source=policy_source,
    online=True,
)

claim_decision = FeatureService(
    name="claim_decision", features=[policy_facts], description="What a decision about a claim needs."
)
