"""Joins a suite with the product: its target, its scorers with their models, its samples, and the store of its runs.

with evaluation(load_suite("handbook"), settings) as ready:
    run = ready.run()
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from app.eval_stores import sample_store
from app.eval_targets import build_target
from app.settings import ROOT, Settings
from app.wiring import VERSION, build_eval_tools, open_assay, open_database
from data.records import EvalRow, EvalRun, Sample
from evals.dataset import load_samples
from evals.runner import Plan, Target, iter_rows, run_suite
from evals.scorers.registry import Tools, build_scorers, metrics_of
from evals.scoring import Metric, Scorer
from evals.store import EvalStore
from evals.suite import AnyTarget, RagTarget, ScorerSpec, SearchTarget, Suite

if TYPE_CHECKING:
    from app.assay import Assay


@dataclass(frozen=True)
class Evaluation:
    """A suite that is ready to run. `assay` is the store that its target asks, None for targets that ask none."""

    suite: Suite
    target: Target
    scorers: Sequence[Scorer]
    samples: Sequence[Sample]
    store: EvalStore
    assay: "Assay | None"
    settings: Settings
    tools: Tools

    @property
    def metrics(self) -> dict[str, Metric]:
        return metrics_of(self.scorers)

    def run(
        self,
        report: Callable[[EvalRow], None] = lambda _: None,
        *,
        fresh: bool = False,
        repeats: int | None = None,
        concurrency: int | None = None,
    ) -> EvalRun:
        """Run it to the end and keep its rows; a run of the same that was cut short is continued."""
        plan = Plan(
            suite=self.suite,
            target=self.target,
            scorers=self.scorers,
            samples=self.samples,
            repeats=repeats or self.suite.repeats,
            fresh=fresh,
            versions=versions(),
        )
        return run_suite(plan, self.store, self.store, report, concurrency)

    def rows(
        self,
        samples: Sequence[Sample] | None = None,
        *,
        target: Target | None = None,
        run_id: str = "",
        fresh: bool = False,
        repeats: int = 1,
    ) -> Iterator[EvalRow]:
        """Rows one by one as they are asked for, in the order of `samples`, kept nowhere but in the cache."""
        return iter_rows(
            target or self.target,
            self.scorers,
            self.samples if samples is None else samples,
            run_id=run_id,
            cache=self.store,
            repeats=repeats,
            concurrency=self.suite.concurrency,
            fresh=fresh,
        )

    def target_of(self, spec: AnyTarget) -> Target:
        """Another target over the same store: the other side of a comparison."""
        return build_target(spec, self.settings, self.assay)


@contextmanager
def evaluation(suite: Suite, settings: Settings) -> Iterator[Evaluation]:
    """Open what the suite needs. Raises: InvalidInput for a suite that cannot run here, before anything is spent."""
    suite, samples = with_judge(suite, settings), load_samples(suite.dataset)
    with ExitStack() as stack:
        assay = _asked_store(suite.target, settings, stack)
        target = build_target(suite.target, settings, assay)
        tools = build_eval_tools(settings, assay)
        scorers = build_scorers(suite, tools)
        store = EvalStore(stack.enter_context(_results(settings)))
        yield Evaluation(suite, target, scorers, samples, store, assay, settings, tools)


def with_judge(suite: Suite, settings: Settings) -> Suite:
    """With a judge in the settings, answers of a rag target are judged by it and by the local model, on the same rows."""
    if not settings.evals.judge.url or not isinstance(suite.target, RagTarget):
        return suite
    listed = {scorer.name for scorer in suite.scorers}
    more = tuple(ScorerSpec(name=name) for name in ("faithfulness", "judged") if name not in listed)
    return suite.model_copy(update={"scorers": suite.scorers + more})


@cache
def versions() -> dict[str, str]:
    """What computed a run: Assay's version, and the revision of its checkout where git tells."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=5, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    return {"assay": VERSION} | ({"git": told} if told else {})


def _asked_store(spec: AnyTarget, settings: Settings, stack: ExitStack) -> "Assay | None":
    if not isinstance(spec, RagTarget | SearchTarget):
        return None
    if spec.corpus:
        return stack.enter_context(sample_store(settings, spec.plant))
    assay = open_assay(settings)
    stack.callback(assay.close)
    return assay


@contextmanager
def _results(settings: Settings) -> Iterator:
    """The installation's own database: results are kept there, wherever the documents are."""
    database = open_database(settings)
    try:
        yield database
    finally:
        database.close()
