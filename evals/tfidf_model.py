"""The baseline for text screens: TF-IDF of words and letters with logistic regression. Needs scikit-learn (the `finetune` extra)."""

from collections.abc import Sequence

from data.errors import MissingExtra

try:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union
except ImportError as error:
    raise MissingExtra("scikit-learn", extra="finetune") from error


class TfidfModel:
    """Fitted on the texts it is made with; `probabilities` are of the label True."""

    def __init__(self, texts: Sequence[str], labels: Sequence[bool]) -> None:
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=100_000)
        letters = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(3, 5), min_df=3, sublinear_tf=True, max_features=200_000
        )
        classifier = LogisticRegression(C=4.0, max_iter=1000, class_weight="balanced")
        self._model = make_pipeline(make_union(words, letters), classifier).fit(texts, labels)

    def probabilities(self, texts: Sequence[str]) -> list[float]:
        return [float(row[1]) for row in self._model.predict_proba(texts)]
