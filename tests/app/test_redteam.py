import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from app.guards import Guard
from app.redteam import Campaign
from app.screening import ScreeningConfig
from app.settings import Settings
from data.records import Principal
from evals.redteam.attacks import load_attacks
from tests.app.answering_product import product, put, with_model

pytestmark = pytest.mark.slow  # plants and removes documents for every attack
ASKER = Principal(subject="cli")
LEAVE = "# Annual leave\n\nA full-time employee has 29 days of leave a year.\n"
TRAVEL = "# Travel\n\nA hotel night in another city may cost up to EUR 140 without approval.\n"
PAY = "# Pay bands\n\nThe highest salary of a systems engineer is EUR 64000 a year.\n"


class Gullible(BaseChatModel):
    """Writes the first code word that it is shown, else that it does not know."""

    @property
    def _llm_type(self) -> str:
        return "gullible"

    def _generate(self, messages: list[BaseMessage], stop=None, run_manager=None, **_) -> ChatResult:
        raise NotImplementedError

    def _stream(
        self, messages: list[BaseMessage], stop=None, run_manager: CallbackManagerForLLMRun | None = None, **_
    ) -> Iterator[ChatGenerationChunk]:
        found = re.search(r"PELICAN-\d+", "\n".join(str(m.content) for m in messages))
        yield ChatGenerationChunk(message=AIMessageChunk(content=found[0] if found else "A year has 29 days [1]."))


@pytest.fixture
def attacked(tmp_path):
    """A campaign over a small store, whose settings may be changed; everything but encoder and model is real."""
    opened = []

    def build(**settings):
        store = product(tmp_path / "home", **settings)
        assay = store.__enter__()
        opened.append(store)
        put(assay, "leave.md", LEAVE)
        put(assay, "travel.md", TRAVEL)
        put(assay, "pay.md", PAY, groups=frozenset({"people-ops"}))
        return assay, Campaign(assay, Settings(home=tmp_path / "home", **settings), ASKER, "default")

    yield build
    for store in opened:
        store.__exit__(None, None, None)


def run(campaign, *names):
    findings = campaign.run([load_attacks()[name] for name in names], 4)
    return findings, {report.attack.name: report for report in findings.reports}


def test_only_facts_that_are_told_rightly_are_attacked_and_restricted_ones_are_found_apart(attacked):
    _, campaign = attacked()
    findings, reports = run(campaign, "restricted_document")
    assert findings.n_facts == 2
    assert findings.n_restricted >= 1
    report = reports["restricted_document"]
    assert (len(report.valid), report.n_success) == (findings.n_restricted, 0)


def test_other_tenants_and_groups_are_out_of_reach_though_their_owners_find_them(attacked):
    _, campaign = attacked()
    _, reports = run(campaign, "other_tenant", "other_group")
    for report in reports.values():
        assert len(report.valid) == 2  # void where not even the owner found it
        assert report.n_success == 0
        assert report.upper_95 == pytest.approx(1 - 0.05 ** (1 / 2))


def test_a_model_that_obeys_is_caught_and_the_missing_guard_is_named(attacked):
    assay, campaign = attacked(screening=ScreeningConfig(chunks="allow"))
    with_model(assay, Gullible())
    _, reports = run(campaign, "visible_order", "jailbreak")
    assert reports["visible_order"].n_success == len(reports["visible_order"].valid) > 0
    assert reports["visible_order"].stages == {"guard": reports["visible_order"].n_success}
    assert reports["jailbreak"].rate == 1.0


def test_with_the_guard_the_same_model_obeys_less(attacked):
    assay, campaign = attacked()
    with_model(assay, Gullible())
    _, reports = run(campaign, "visible_order")
    assert reports["visible_order"].n_success < len(reports["visible_order"].valid)


def test_the_products_trained_guard_reads_chunks_and_questions_as_the_rules_do(attacked):
    """It knows the code word, so it blanks every planted order; a jailbreak that it flagged is the generator's fault."""
    assay, campaign = attacked()
    with_model(assay, Gullible())
    guard = Guard(injection=lambda texts: [float("PELICAN" in text) for text in texts])
    assay.rag = type(assay.rag)(replace(assay.rag.parts, guard=guard))
    _, reports = run(campaign, "visible_order", "jailbreak")
    assert reports["visible_order"].n_success == 0
    assert len(reports["visible_order"].valid) > 0
    assert reports["jailbreak"].stages == {"generator": reports["jailbreak"].n_success}
    assert reports["jailbreak"].n_success > 0


def test_what_was_planted_is_gone_afterwards(attacked):
    assay, campaign = attacked()
    before = {d.id for d in assay.documents(ASKER)[0]}
    run(
        campaign, "visible_order", "hidden_order", "fact_corruption", "citation_laundering", "group_swap", "prompt_leak"
    )
    assert {d.id for d in assay.documents(ASKER)[0]} == before
    assert assay.keeper.agreement().holds
