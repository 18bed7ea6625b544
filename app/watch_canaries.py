"""Canary questions: known questions with known sources, asked of the search at every check."""

from typing import TYPE_CHECKING

from data.records import Principal, Query
from evals.dataset import load_samples
from evals.drift.config import KnowledgeSpec, LanguageWatch
from evals.drift.index_monitors import Recall
from evals.suite import load_suite

if TYPE_CHECKING:
    from app.assay import Assay


def recall_of(assay: "Assay", watch: LanguageWatch) -> Recall:
    """A call that asks every sample of the canary suite that names a source. Raises: NotFound, InvalidInput."""
    samples = [s for s in load_samples(load_suite(watch.knowledge.canaries).dataset) if s.citations]

    def recall(spec: KnowledgeSpec) -> tuple[float, int]:
        asker = Principal(tenant=watch.tenant or "default", subject="canary")
        found = 0
        for sample in samples:
            query = Query(text=sample.question, principal=asker, collection=watch.collection or None, k=spec.canary_k)
            uris = {source.uri for hit in assay.search(query).hits for source in hit.sources}
            found += any(uri.endswith(wanted) for wanted, _ in sample.citations for uri in uris)
        return (found / len(samples) if samples else 0.0), len(samples)

    return recall
