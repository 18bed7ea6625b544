"""The shipped reranker: how well a text answers a question, both read together (Nogueira & Cho 2019, arXiv:1901.04085).

Of a long text only the sentences that share most with the question are read: reading is what reranking costs. Knows no retrieval.
"""

from collections.abc import Sequence

from data.focus import focused
from serving.local.heads import Head

MOST_WORDS, MOST_TOKENS = 40, 80
"""Of a text, and of question and text together."""
DECIMALS = 3
"""Batches differ from call to call, and with them the last bits."""


class TrainedReranker(Head):
    """Scores of one question compare its texts; they are no probabilities."""

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """One score per text, higher is better."""
        length = min(MOST_TOKENS, self._adapter.config.max_length)
        rows = [self._tokens.pair(question, focused(text, question, MOST_WORDS), length) for text in texts]
        return [round(float(logits[0]), DECIMALS) for logits in self._logits(rows)]
