import hashlib

import pytest

from data.focus import focused
from serving.local.adapter_folder import load_adapter
from serving.local.backbone import Backbone, BaseWeights
from serving.local.reranker import MOST_WORDS, TrainedReranker
from serving.local.token_rows import TokenRows
from tests.serving.local.small_bert import (
    reference_states,
    small_deltas,
    small_weights,
    write_adapter,
    write_base,
    write_tokenizer,
)

WEIGHTS = small_weights(length=64)
DELTAS = small_deltas(1, rank=4)
TEXTS = ["The mill was built in 1790.", "The dog raised the alarm.", "The mill burned down."]


@pytest.fixture(scope="module")
def reranker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reranker")
    base = write_base(folder / "base", WEIGHTS)
    digest = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    adapter = load_adapter(write_adapter(folder / "reranker", DELTAS, kind="reranker", max_length=40))
    opened = Backbone([adapter], cache=folder, precision="fp32", threads=1, base=BaseWeights(base, digest, {}))
    yield TrainedReranker(opened, TokenRows(write_tokenizer(folder)), "reranker")
    opened.close()


def by_hand(reranker, question, text):
    row = reranker._tokens.pair(question, text, 40)
    return reranker._adapter.logits(reference_states(WEIGHTS, row.ids, row.types, DELTAS))[0]


def test_each_text_is_read_with_the_question(reranker):
    expected = [by_hand(reranker, "When was the mill built?", text) for text in TEXTS]
    assert reranker.score("When was the mill built?", TEXTS) == pytest.approx(expected, abs=2e-3)


def test_a_score_does_not_depend_on_the_other_texts(reranker):
    together = reranker.score("The mill?", TEXTS)
    assert [reranker.score("The mill?", [text])[0] for text in TEXTS] == pytest.approx(together, abs=1.1e-3)
    assert reranker.score("The mill?", []) == []


def test_of_a_long_text_the_sentences_like_the_question_are_read(reranker):
    long = "The dog raised the alarm. " * 20 + TEXTS[0]
    cut = focused(long, "When was the mill built?", MOST_WORDS)
    assert TEXTS[0] in cut
    assert len(cut.split()) <= MOST_WORDS
    assert reranker.score("When was the mill built?", [long]) == reranker.score("When was the mill built?", [cut])


def test_its_id_names_the_weights(reranker):
    assert reranker.id.startswith("reranker@")
