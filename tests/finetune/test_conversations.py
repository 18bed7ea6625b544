import pytest
from transformers import AutoTokenizer

from data.errors import InvalidInput, ModelUnavailable
from finetune.conversations import load_tokenizer, prompt_ids, stop_is_learned, tokenised, training_template
from finetune.decoder_recipes import DecoderBase, DecoderTrain
from finetune.examples import IGNORED
from finetune.rows import Conversation

pytestmark = pytest.mark.slow  # imports torch
TURNS = (
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "First."},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Second."},
)


@pytest.fixture
def tokenizer(toy):
    return AutoTokenizer.from_pretrained(toy)


def learned(example, tokenizer) -> str:
    return tokenizer.decode([label for label in example.labels if label != IGNORED])


def test_only_the_assistants_turns_are_learned_and_their_end(tokenizer):
    (example,), dropped = tokenised([Conversation("r:1", TURNS, "k")], tokenizer, DecoderTrain())
    assert learned(example, tokenizer) == "First.<|im_end|>Second.<|im_end|>"
    assert dropped == []
    assert list(example.input_ids[: len(prompt_ids(tokenizer, TURNS[:-1]))]) == prompt_ids(tokenizer, TURNS[:-1])


def test_everything_is_learned_where_the_recipe_says_so(tokenizer):
    (example,), _ = tokenised([Conversation("r:1", TURNS, "k")], tokenizer, DecoderTrain(assistant_only_loss=False))
    assert example.labels == example.input_ids


def test_a_row_whose_answer_lies_behind_the_cut_is_dropped(tokenizer):
    examples, dropped = tokenised([Conversation("r:1", TURNS[:2], "k")], tokenizer, DecoderTrain(max_length=4))
    assert examples == []
    assert [(d.reason, d.detail) for d in dropped] == [("no_trainable_token", "the answer begins after token 4")]


def test_a_template_that_leaves_the_stop_token_out_of_the_loss_is_noticed(tokenizer):
    conversation = [Conversation("r:1", TURNS, "k")]
    assert stop_is_learned(tokenised(conversation, tokenizer, DecoderTrain())[0], tokenizer)
    old = "{{- message['content'] + '<|im_end|>' -}}{%- endgeneration -%}"
    assert old in tokenizer.chat_template
    tokenizer.chat_template = tokenizer.chat_template.replace(
        old, "{{- message['content'] -}}{%- endgeneration -%}{{- '<|im_end|>' -}}"
    )
    assert not stop_is_learned(tokenised(conversation, tokenizer, DecoderTrain())[0], tokenizer)


def test_a_template_without_marks_is_refused_with_the_two_ways_out(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace("{%- generation -%}", "").replace(
        "{%- endgeneration -%}", ""
    )
    with pytest.raises(InvalidInput, match=r"set train\.assistant_only_loss=false"):
        training_template(tokenizer)


def test_a_base_that_is_not_there_says_what_to_set(tmp_path):
    with pytest.raises(ModelUnavailable, match=r"Set base\.path to a local folder"):
        load_tokenizer(DecoderBase(path=str(tmp_path / "nothing")))


def test_the_recipes_template_replaces_the_tokenizers(toy, tmp_path):
    (tmp_path / "t.jinja").write_text("{{ messages[0]['content'] }}")
    assert load_tokenizer(DecoderBase(path=str(toy), chat_template=tmp_path / "t.jinja")).chat_template.startswith(
        "{{ messages"
    )
