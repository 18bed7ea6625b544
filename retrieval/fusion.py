"""Joins the lexical and the dense ranking into one. Pure: knows neither indexes nor models."""

from pydantic import BaseModel, ConfigDict, Field

Ranked = list[tuple[int, float]]


class FusionConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    dense_share: float = Field(0.5, ge=0, le=1)
    """How much of the fused score is the dense one's."""


def fuse(question: str, lexical: Ranked, dense: Ranked, *, config: FusionConfig | None = None) -> Ranked:
    """Return the union of both lists with fused scores, best first, equal scores by chunk id."""
    config = config or FusionConfig()
    top = max((s for _, s in lexical), default=1.0) or 1.0
    best = max((s for _, s in dense), default=1.0)
    floor = min((s for _, s in dense), default=0.0)
    fused: dict[int, float] = {}
    for chunk, score in lexical:
        fused[chunk] = (1 - config.dense_share) * score / top
    for chunk, score in dense:
        share = (score - floor) / (best - floor) if best > floor else 1.0
        fused[chunk] = fused.get(chunk, 0.0) + config.dense_share * share
    return sorted(fused.items(), key=lambda hit: (-hit[1], hit[0]))
