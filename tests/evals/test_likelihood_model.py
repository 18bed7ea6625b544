"""Real models of a few thousand random weights, saved and loaded as any other."""

import math

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from data.errors import InvalidInput  # noqa: E402
from evals.likelihood_model import LocalLikelihood  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "old", "young", "man", "forgot", "it", "again"]
pytestmark = pytest.mark.slow  # imports torch and transformers


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    made = Tokenizer(models.WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    names = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, model_max_length=32, **{f"{name}_token": WORDS[n] for name, n in names.items()}
    )


@pytest.fixture(scope="module")
def masked(tokenizer, tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("masked")
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.BertForMaskedLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_masked_model_sums_over_the_shared_words_each_masked_in_turn(masked):
    likelihood = LocalLikelihood.load(str(masked))
    more, less = likelihood("the old man forgot", "the young man forgot")
    model, wanted = likelihood._model, 0.0
    ids = [2, 5, 6, 8, 9, 3]
    for position in (1, 3, 4):  # the, man, forgot; not `old`
        row = torch.tensor([ids])
        row[0, position] = 4
        with torch.no_grad():
            wanted += float(model(input_ids=row).logits[0, position].log_softmax(-1)[ids[position]])
    assert more == pytest.approx(wanted, abs=1e-4)
    assert more != less
    assert likelihood("the man", "the man") == pytest.approx(likelihood("the man", "the man"))


def test_a_decoder_gives_whole_sentences_their_likelihood(tokenizer, tmp_path):
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, n_positions=32)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    likelihood = LocalLikelihood.load(str(tmp_path))
    short, long = likelihood("the man", "the man forgot it again")
    assert not likelihood.is_masked
    assert long < short < 0
    assert math.isfinite(long)


def test_a_folder_without_a_language_model_is_told(tmp_path):
    with pytest.raises(InvalidInput, match="No language model"):
        LocalLikelihood.load(str(tmp_path))
