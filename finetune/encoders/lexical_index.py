"""Which texts share rare words with a query: TF-IDF cosine over a sparse matrix. For mining negatives, not for the product."""

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

ROWS_AT_ONCE = 512


class LexicalIndex:
    """An index of `texts`, asked by the hundred."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        self._matrix = self._vectorizer.fit_transform(texts).T.tocsr()

    def search(self, queries: Sequence[str], k: int) -> list[list[int]]:
        """The numbers of the `k` best texts for each query, best first; ties by number."""
        found: list[list[int]] = []
        for start in range(0, len(queries), ROWS_AT_ONCE):
            asked = self._vectorizer.transform(queries[start : start + ROWS_AT_ONCE])
            scores = (asked @ self._matrix).toarray()
            k_here = min(k, scores.shape[1])
            order = np.argsort(-scores, axis=1, kind="stable")[:, :k_here]
            found += [[int(i) for i in row] for row in order]
        return found
