"""A tiny random decoder, made on the spot and loaded by path, behind the product's generator."""

import time

import pytest

from data.errors import InvalidInput, ModelUnavailable
from serving.config_llm import LLMConfig
from serving.llm import Reply, build_generator

pytestmark = pytest.mark.slow  # imports torch and transformers
torch = pytest.importorskip("torch", reason="pip install -e '.[finetune]'")
transformers = pytest.importorskip("transformers", reason="pip install -e '.[finetune]'")
MESSAGES = [("system", "You answer."), ("user", "Is tea free?")]
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Qwen3's architecture at 20 thousand parameters, with a tokenizer of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate([*alphabet, "<end>"])}, merges=[]))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokens, eos_token="<end>", pad_token="<end>", chat_template=TEMPLATE
    )
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer), num_key_value_heads=1, head_dim=16, max_position_embeddings=512, **shape
    )
    transformers.set_seed(0)
    torch.set_num_threads(1)  # so small a model only loses time to more
    path = tmp_path_factory.mktemp("model")
    model = transformers.Qwen3ForCausalLM(config)
    model.generation_config.eos_token_id = None  # it never says that it has finished
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def generator(folder, **config):
    return build_generator(LLMConfig(model=str(folder), device="cpu", **{"max_tokens": 12} | config))


def test_a_model_loaded_by_path_streams_and_counts_tokens(folder):
    reply = Reply()
    pieces = list(generator(folder).stream(MESSAGES, reply))
    assert "".join(pieces)
    assert reply.usage.completion_tokens == 12
    assert reply.usage.prompt_tokens == len("<system>You answer.\n<user>Is tea free?\n<assistant>")


def test_the_same_question_gets_the_same_answer(folder):
    model = generator(folder)
    assert model.complete(MESSAGES) == model.complete(MESSAGES)
    sampled = generator(folder, temperature=1.0, seed=3)
    assert sampled.complete(MESSAGES) == sampled.complete(MESSAGES)
    assert sampled.complete(MESSAGES) != generator(folder, temperature=1.0, seed=4).complete(MESSAGES)


def test_the_digest_is_of_the_weights(folder):
    digest = generator(folder).digest
    assert len(digest) == 64
    assert generator(folder).digest == digest


def test_closing_the_stream_stops_the_model_and_frees_it_for_the_next(folder):
    model = generator(folder, max_tokens=150)
    stream = model.stream(MESSAGES, Reply())
    next(stream)
    began = time.monotonic()
    stream.close()
    closed_s = time.monotonic() - began
    began = time.monotonic()
    model.complete(MESSAGES)
    assert closed_s < (time.monotonic() - began) / 2


def test_a_failure_while_generating_is_told_and_nobody_waits_for_ever(folder):
    model = generator(folder, max_tokens=5)
    model._model.model.generate = _broken
    with pytest.raises(ModelUnavailable, match="out of memory"):
        model.complete(MESSAGES)


def _broken(**_):
    raise RuntimeError("out of memory")


def test_a_model_without_a_chat_template_is_refused(folder, tmp_path):
    transformers.AutoModelForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="no chat template"):
        generator(tmp_path)
