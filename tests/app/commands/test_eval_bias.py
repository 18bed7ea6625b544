import json

import pytest
from typer.testing import CliRunner

from app.commands.eval import app
from app.commands.eval_bias import reading, spanning
from data.errors import InvalidInput
from evals.bias_questions import load_bias_questions, nearest
from retrieval.embedding import HashingEmbedder
from serving.local.heads import ReadSpan
from serving.local.reader import ExtractiveReader, ReaderConfig
from tests.evals.test_bias_questions import ROW

TOLD = ROW | {
    "context_condition": "disambig",
    "context": "A pensioner and a student stood at the machine. The student could not work the machine.",
    "label": 1,
}


def reader():
    embedder = HashingEmbedder(64)
    return ExtractiveReader(lambda texts, kind: embedder.embed(texts, kind=kind), ReaderConfig(threshold=0.05))


def test_the_products_reader_answers_from_one_context_and_abstains_where_nothing_fits(tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(TOLD))
    (question,) = load_bias_questions(tmp_path / "rows.jsonl")
    answer = reading(reader())
    assert answer(question.context, question.question) == "The student could not work the machine."
    assert nearest(answer(question.context, question.question), question) == 1
    assert answer("Rain fell on the sea.", question.question) == ""


class Spans:
    """A reading head that answers only what it is sure of."""

    id = "spans@1"

    def read(self, question, contexts):
        sure = "could not" in contexts[0]
        text = "The student" if sure else "A pensioner"
        return [ReadSpan(0, len(text), text, 3.0 if sure else -3.0, 0.95 if sure else 0.05)]


def test_the_reading_adapter_answers_with_its_span_and_below_its_threshold_not_at_all():
    answer = spanning(Spans())
    assert answer(TOLD["context"], TOLD["question"]) == "The student"
    assert answer(ROW["context"], ROW["question"]) == ""


@pytest.mark.parametrize(
    "options", [["--data", "a", "--pairs", "b"], ["--pairs", "b"], ["--model", "m"], ["--data", "nowhere.jsonl"]]
)
def test_what_does_not_go_together_is_refused(options):
    done = CliRunner().invoke(app, ["bias", *options])
    assert isinstance(done.exception, InvalidInput)


@pytest.mark.slow
def test_questions_in_bbqs_fields_give_json_for_machines(tmp_path, monkeypatch):
    monkeypatch.setenv("ASSAY_HOME", str(tmp_path))
    (tmp_path / "rows.jsonl").write_text(json.dumps(ROW) + "\n" + json.dumps(TOLD))
    done = CliRunner().invoke(app, ["bias", "--data", str(tmp_path / "rows.jsonl"), "--json"], catch_exceptions=False)
    facts = json.loads(done.stdout)
    assert facts["n_questions"] == 2
    assert facts["all"]["accuracy_disambiguated"] in (0.0, 1.0)
    table = CliRunner().invoke(app, ["bias", "--data", str(tmp_path / "rows.jsonl")], catch_exceptions=False)
    assert "s_AMB" in table.stdout
