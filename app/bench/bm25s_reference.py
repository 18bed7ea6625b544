"""What bm25s with a Snowball stemmer and English stop words reaches on folders in BEIR layout, by our own measures.

Runs in an environment of its own, from the checkout:
  python3 -m venv .venv-bm25s && .venv-bm25s/bin/pip install -q bm25s PyStemmer pydantic
  .venv-bm25s/bin/python -m app.bench.bm25s_reference [--queries N] FOLDER...
"""

import argparse
import json
from pathlib import Path

import bm25s
import Stemmer

from evals.retrieval import CUTOFF, evaluate, load_collection, sampled


def main() -> None:
    parser = argparse.ArgumentParser(description="nDCG@10 and more of bm25s, one line of JSON a folder.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--queries", type=int, default=0, help="the same draw as `assay eval retrieval --queries`")
    given = parser.parse_args()
    for folder in given.folders:
        collection = sampled(load_collection(folder), given.queries)
        stemmer = Stemmer.Stemmer("english")
        texts = [f"{d.title} {d.text}".strip() for d in collection.documents]
        index = bm25s.BM25()
        index.index(bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False)
        k = min(CUTOFF, len(texts))

        def search(question: str, _: int, index=index, collection=collection, stemmer=stemmer, k=k) -> list[str]:
            words = bm25s.tokenize(question, stopwords="en", stemmer=stemmer, show_progress=False)
            rows, scores = index.retrieve(words, k=k, show_progress=False)
            return [collection.documents[i].id for i, s in zip(rows[0], scores[0], strict=True) if s > 0]

        print(json.dumps({"collection": collection.name} | evaluate(collection, search).measures()), flush=True)


if __name__ == "__main__":
    main()
