import hashlib
from itertools import product

import numpy as np
import pytest

from data.token_recall import token_recall
from serving.local.adapter_folder import load_adapter
from serving.local.backbone import Backbone, BaseWeights
from serving.local.heads import GroundingHead, SpanReader, TextScreen, best_span
from serving.local.token_rows import Encoded, TokenRows
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
TEXT = "The mill was built in 1790. The mill burned down. The dog raised the alarm."


@pytest.fixture(scope="module")
def tokens(tmp_path_factory):
    return TokenRows(write_tokenizer(tmp_path_factory.mktemp("tokens")))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    base = write_base(folder / "base", WEIGHTS)
    digest = hashlib.sha256((base / "model.safetensors").read_bytes()).hexdigest()
    cut = {"max_length": 14, "stride": 3, "max_answer_tokens": 4}
    reader = {"kind": "reader", "pooling": "tokens", "threshold": 1.5} | cut
    made = {
        "reader": reader,
        "strict": reader | {"missing": {"names": 2.0}},
        "grounding": {"kind": "grounding", "premise": "focused", "max_length": 40},
        "weighed": {
            "kind": "grounding",
            "premise": "focused",
            "max_length": 40,
            "beside": {"constant": -1.0, "odds": 0.5, "recall": 2.0},
        },
        "screen": {"max_length": 8, "threshold": 0.7},
    }
    adapters = [load_adapter(write_adapter(folder / name, DELTAS, **config)) for name, config in made.items()]
    opened = Backbone(adapters, cache=folder, precision="fp32", threads=1, base=BaseWeights(base, digest, {}))
    yield opened
    opened.close()


def by_hand(backbone, name, encoded):
    """The logits of one row from BERT by the book."""
    return backbone.adapters[name].logits(reference_states(WEIGHTS, encoded.ids, encoded.types, DELTAS))


def first_of(logits):
    return float(np.exp(logits[0]) / np.exp(logits).sum())


def test_the_reader_gives_the_best_span_of_all_windows_in_characters(backbone, tokens):
    reader = SpanReader(backbone, tokens, "reader")
    question = "When was the mill built?"
    spans = []
    for window in tokens.question_windows(question, TEXT, 14, 3):
        logits = by_hand(backbone, "reader", window)
        for i, j in product(range(len(window.offsets)), repeat=2):
            if 0 <= j - i < 4:
                score = logits[window.first + i, 0] + logits[window.first + j, 1] - logits[0].sum()
                spans.append((score, window.offsets[i][0], window.offsets[j][1]))
    score, start, end = max(spans)
    [found] = reader.read(question, [TEXT])
    assert (found.start, found.end, found.text) == (start, end, TEXT[start:end])
    assert found.score == pytest.approx(score, abs=1e-4)
    assert found.probability == pytest.approx(1 / (1 + np.exp(1.5 - score)), abs=1e-4)


def test_a_name_that_does_not_stand_around_the_span_costs_what_the_adapter_says(backbone, tokens):
    plain, strict = (SpanReader(backbone, tokens, name) for name in ("reader", "strict"))
    question = "Who saw Atlantis and Lemuria burn?"
    [found], [less] = plain.read(question, [TEXT]), strict.read(question, [TEXT])
    assert less.score == pytest.approx(found.score - 4, abs=1e-4)
    assert (less.start, less.end) == (found.start, found.end)
    assert strict.log_odds(question, [TEXT]) == pytest.approx(plain.log_odds(question, [TEXT]), abs=1e-4)


def test_each_context_gets_its_own_span(backbone, tokens):
    reader = SpanReader(backbone, tokens, "reader")
    contexts = ["The mill burned down.", TEXT, "the dog"]
    assert [span.text in context for span, context in zip(reader.read("Who?", contexts), contexts, strict=True)] == [
        True
    ] * 3
    assert reader.read("Who?", contexts)[0] == reader.read("Who?", contexts[:1])[0]


def test_a_context_without_words_holds_no_answer(backbone, tokens):
    [found] = SpanReader(backbone, tokens, "reader").read("Who?", [""])
    assert (found.text, found.probability) == ("", pytest.approx(0, abs=1e-9))


def test_grounding_is_the_probability_of_the_first_label(backbone, tokens):
    head = GroundingHead(backbone, tokens, "grounding")
    expected = first_of(by_hand(backbone, "grounding", tokens.pair(TEXT, "The mill burned.", 40)))
    assert head.supports([(TEXT, "The mill burned.")]) == [pytest.approx(expected, abs=1e-5)]
    assert head.supports([]) == []


def test_of_a_long_premise_the_sentences_nearest_the_hypothesis_are_read(backbone, tokens):
    long = "dog " * 149 + "alarm. The mill burned down in 1790."
    [found] = GroundingHead(backbone, tokens, "grounding").supports([(long, "The mill burned.")])
    near = tokens.pair("The mill burned down in 1790.", "The mill burned.", 40)
    assert found == pytest.approx(first_of(by_hand(backbone, "grounding", near)), abs=1e-5)


def test_token_recall_is_weighed_with_the_adapters_word(backbone, tokens):
    pairs = [(TEXT, "The mill burned."), (TEXT, "The dog burned Atlantis."), (TEXT, "The mill burned.")]
    found = GroundingHead(backbone, tokens, "weighed").supports(pairs)
    for (premise, hypothesis), probability in zip(pairs, found, strict=True):
        p = first_of(by_hand(backbone, "weighed", tokens.pair(premise, hypothesis, 40)))
        read = [reference_states(WEIGHTS, row.ids, row.types) for row in map(alone(tokens), (premise, hypothesis))]
        recall = token_recall(read[1][1:-1], read[0][1:-1])
        odds = -1 + 0.5 * np.log(p / (1 - p)) + 2 * recall
        assert probability == pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-4)
    assert found[0] == found[2]


def alone(tokens):
    return lambda text: tokens.text(text, 40)


def test_a_screen_tells_the_worst_window_of_a_long_text(backbone, tokens):
    screen = TextScreen(backbone, tokens, "screen")
    windows = [first_of(by_hand(backbone, "screen", window)) for window in tokens.windows(TEXT, 8)]
    assert len(windows) > 2
    assert screen.probabilities([TEXT, "The mill"])[0] == pytest.approx(max(windows), abs=1e-5)
    assert screen.threshold == 0.7


def test_a_head_is_named_with_the_digest_of_its_files(backbone, tokens):
    screen = TextScreen(backbone, tokens, "screen")
    assert screen.id == f"screen@{backbone.adapters['screen'].digest[:12]}"


def test_no_span_is_longer_than_allowed():
    window = Encoded((0,) * 7, (0,) * 7, first=2, offsets=((0, 1), (1, 2), (2, 3), (3, 4)))
    logits = np.zeros((7, 2), np.float32)
    logits[2, 0] = logits[5, 1] = 5.0  # the best start and the best end are four tokens apart
    assert best_span(window, logits, 4)[:2] == (0, 4)
    assert best_span(window, logits, 3)[2] == 5.0
