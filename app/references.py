"""What a REF of `assay gate` means: a stored run, a prompt, an adapter, a git revision, other settings, or what is here now.

with opened_suite(suite, settings, options) as references:
    side = references.side("prompt:answer@2")
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import yaml

from app.adapters import open_client, open_registry, registered_release
from app.evaluation import Evaluation, evaluation, versions
from app.settings import Settings, load_settings
from app.worktrees import rows_of_revision
from data.errors import InvalidInput
from data.records import EvalRow, EvalRun, Sample
from evals.dataset import samples_digest
from evals.digest import digested
from evals.gate import Side
from evals.runner import Target, scored, spent
from evals.suite import AnyTarget, PromptTarget, RagTarget, SearchTarget, Suite, UrlTarget
from serving.registry import AdapterStore, find
from serving.rollout.state import Release

KINDS = {
    "current": "this checkout with these settings",
    "run:ID": "a stored run",
    "prompt:NAME@VERSION": "another prompt; also the path of a template file",
    "adapter:NAME@VERSION": "a registered adapter",
    "git:REV": "this suite on another revision",
    "settings:KEY=VALUE,..": "the same code with other settings, e.g. settings:search.candidates=50",
}


@dataclass(frozen=True)
class Reference:
    kind: str
    value: str
    text: str


@dataclass(frozen=True)
class GateOptions:
    """`fresh` asks and scores everything anew, `repeats` overrides the suite's number where it is above 0."""

    fresh: bool = False
    repeats: int = 0


def parse_reference(text: str) -> Reference:
    """Raises: InvalidInput naming the kinds there are."""
    kind, _, value = text.partition(":")
    if text == "current":
        return Reference("current", "", text)
    if text.endswith(".md") and Path(text).is_file():
        return Reference("prompt", text, text)
    if kind in {known.partition(":")[0] for known in KINDS} - {"current"} and value:
        return Reference(kind, value, text)
    told = "; ".join(f"{known} ({meaning})" for known, meaning in KINDS.items())
    raise InvalidInput(f"{text!r} names nothing to compare.", field="ref", next_step=f"A REF is one of: {told}.")


@contextmanager
def opened_suite(suite: Suite, settings: Settings, options: GateOptions) -> Iterator["References"]:
    """Raises: InvalidInput for a suite that cannot run here."""
    with ExitStack() as stack:
        ready = stack.enter_context(evaluation(suite, settings))
        yield References(ready, settings, options, stack)


class References:
    """Makes sides of one suite. Nothing is asked before a side's rows are read."""

    def __init__(self, ready: Evaluation, settings: Settings, options: GateOptions, stack: ExitStack) -> None:
        self.ready, self.settings, self._options, self._stack = ready, settings, options, stack
        self._digests: dict[str, str] = {}

    def pair(self, baseline: str, candidate: str) -> tuple[Side, Side]:
        """Both sides. Raises: InvalidInput, also where two REFs mean the same version and so cannot differ."""
        sides = self.side(baseline), self.side(candidate)
        digests = [self._digests.get(text, text) for text in (baseline, candidate)]
        if baseline != candidate and digests[0] == digests[1]:
            raise InvalidInput(
                f"{baseline} and {candidate} are the same version: nothing can differ.",
                field="candidate",
                next_step="Name another version, or give both sides the same REF to see the noise.",
            )
        return sides

    def side(self, text: str) -> Side:
        """Raises: InvalidInput, NotFound when the REF means nothing here, or cannot matter to what the suite calls."""
        ref = parse_reference(text)
        match ref.kind:
            case "current":
                return self._asking(ref, self.ready.suite.target)
            case "run":
                return self._stored(ref)
            case "prompt":
                return self._asking(ref, self._with_prompt(ref))
            case "adapter":
                return self._of_adapter(ref)
            case "settings":
                return self._with_settings(ref)
        return self._of_revision(ref)

    def adapter(self, text: str) -> tuple[str, Release] | None:
        """The name and release that a REF means, if it is an adapter."""
        ref = parse_reference(text)
        return registered_release(open_registry(self.settings), ref.value) if ref.kind == "adapter" else None

    def pilot(self, baseline: Side) -> tuple[EvalRow, ...]:
        """Earlier rows from which power is foreseen: the baseline's own where they are stored, else the suite's newest run's."""
        store = self.ready.store
        found = [run for run, _ in store.runs(self.ready.suite.name) if run.status == "complete"]
        run_id = next((run.id for run in found if run.id == baseline.run_id), found[0].id if found else "")
        return tuple(store.rows(run_id)) if run_id else ()

    # -- kinds

    def _asking(self, ref: Reference, spec: AnyTarget, mark: str = "") -> Side:
        target = self.ready.target if spec == self.ready.suite.target else self.ready.target_of(spec)
        if mark:
            target = _marked(target, mark)
        self._digests[ref.text] = target.digest or ref.text
        return self._live(ref, target, self.ready)

    def _with_prompt(self, ref: Reference) -> AnyTarget:
        spec = self.ready.suite.target
        if isinstance(spec, PromptTarget):
            return spec.model_copy(update={"prompt": ref.value})
        if not isinstance(spec, RagTarget):
            raise _cannot_matter(ref, f"the suite {self.ready.suite.name} calls a {spec.kind}, which takes no prompt")
        if spec.model == "assay-extractive" or not (spec.model or self.settings.llm.model):
            raise _cannot_matter(
                ref,
                "no model is configured, and the extractive answerer uses no prompt",
                "Set ASSAY_LLM__MODEL and ASSAY_LLM__BASE_URL to the model that the prompt is for.",
            )
        return spec.model_copy(update={"prompt": ref.value})

    def _of_adapter(self, ref: Reference) -> Side:
        spec = self.ready.suite.target
        if isinstance(spec, SearchTarget | UrlTarget):
            raise _cannot_matter(
                ref, f"the suite {self.ready.suite.name} calls a {spec.kind}, which chooses no adapter"
            )
        if not self.settings.llm.base_url:
            raise _cannot_matter(
                ref, "no model server is configured", "Start one with: assay llm up --model DIR, and set ASSAY_LLM__*."
            )
        name, release = registered_release(open_registry(self.settings), ref.value)
        served = f"{name}@{release.version}"
        self._serve(served)
        return self._asking(ref, spec.model_copy(update={"model": served}), release.digest)

    def _serve(self, ref: str) -> None:
        """Have the server load an adapter that it does not know yet."""
        client = open_client(self.settings)
        try:
            if ref not in {model.id for model in client.models()}:
                registry, plan = open_registry(self.settings), self.settings.vllm
                store = AdapterStore(self.settings.home / plan.adapters_dir, plan.adapters_dir_at_server)
                stored = store.put(ref, registry.folder(find(registry, ref)))
                client.load_adapter(ref, store.path_at_server(stored))
        finally:
            client.close()

    def _with_settings(self, ref: Reference) -> Side:
        if isinstance(self.ready.suite.target, UrlTarget):
            raise _cannot_matter(ref, "the suite asks a URL, which has settings of its own")
        settings = load_settings(**_overrides(ref.value, self.settings))
        ready = self._stack.enter_context(evaluation(self.ready.suite, settings))
        return self._live(ref, _marked(ready.target, ref.value), ready)

    def _stored(self, ref: Reference) -> Side:
        run = self.ready.store.run(ref.value)
        if run.suite != self.ready.suite.name:
            raise InvalidInput(
                f"The run {run.id} is of the suite {run.suite}, not of {self.ready.suite.name}.",
                field="ref",
                next_step=f"See: assay eval list {self.ready.suite.name}",
            )
        if run.config.get("samples_sha256") != samples_digest(self.ready.samples):
            raise InvalidInput(
                f"The run {run.id} asked other samples than the suite has now.",
                field="ref",
                next_step=f"Run it again: assay eval run {run.suite}",
            )
        rows = self.ready.store.rows(run.id)
        return self._given(ref, run.target, rows, run.id)

    def _of_revision(self, ref: Reference) -> Side:
        return self._given(ref, f"{self.ready.suite.name} at {ref.value}", rows_of_revision(ref.value, self.ready))

    # -- rows

    def _live(self, ref: Reference, target: Target, ready: Evaluation) -> Side:
        repeats = self._options.repeats or self.ready.suite.repeats
        run = self._new_run(ref, target, repeats)

        def rows(samples: Sequence[Sample]) -> Iterator[EvalRow]:
            asked = ready.rows(samples, target=target, run_id=run.id, fresh=self._options.fresh, repeats=repeats)
            return self._kept(run, asked, len(samples) * repeats)

        return Side(ref.text, target.name, rows, run.id, repeats)

    def _kept(self, run: EvalRun, rows: Iterator[EvalRow], n_expected: int) -> Iterator[EvalRow]:
        """Keeps what is read as a run. One that was stopped early, because enough was known, is told from one that broke off."""
        store, found = self.ready.store, []
        store.begin(run, "")
        try:
            for row in rows:
                store.append(row)
                found.append(row)
                yield row
        finally:
            rows.close()
            status = "complete" if len(found) == n_expected else "stopped"
            asked = {row.sample_id for row in found}
            digest = digested(found, [s for s in self.ready.samples if s.id in asked], self.ready.metrics)
            store.finish(run.model_copy(update={"status": status}), spent(found), digest)

    def _given(self, ref: Reference, target: str, rows: Sequence[EvalRow], run_id: str = "") -> Side:
        by_sample: dict[str, list[EvalRow]] = {}
        for row in sorted(rows, key=lambda row: row.repeat):
            by_sample.setdefault(row.sample_id, []).append(row)
        missing = [sample.id for sample in self.ready.samples if sample.id not in by_sample]
        if missing:
            raise InvalidInput(
                f"{ref.text} has rows for {len(by_sample)} of {len(self.ready.samples)} samples; {missing[0]} is missing.",
                field="ref",
                next_step="A run that was stopped early cannot be compared again: run the suite to its end.",
            )
        repeats = min(len(found) for found in by_sample.values())

        def again(samples: Sequence[Sample]) -> Iterator[EvalRow]:
            for sample in samples:
                for row in by_sample[sample.id][:repeats]:
                    yield self._rescored(sample, row)

        return Side(ref.text, target, again, run_id, repeats)

    def _rescored(self, sample: Sample, row: EvalRow) -> EvalRow:
        """An old observation under the scorers as they are now, so that both sides are measured alike."""
        if row.observation.error:
            return row.model_copy(update={"is_cached": True})
        scores = tuple(s for scorer in self.ready.scorers for s in scored(scorer, sample, row.observation))
        return row.model_copy(update={"scores": scores, "is_cached": True})

    def _new_run(self, ref: Reference, target: Target, repeats: int) -> EvalRun:
        return EvalRun(
            id=f"run_{uuid4().hex[:12]}",
            suite=self.ready.suite.name,
            created_at=datetime.now(UTC),
            target=target.name,
            config={
                "suite": self.ready.suite.model_dump(mode="json", exclude={"dataset": {"path"}}),
                "dataset": self.ready.suite.dataset.path.name,
                "samples_sha256": samples_digest(self.ready.samples),
                "target_digest": target.digest,
                "scorers": [scorer.id for scorer in self.ready.scorers],
                "repeats": repeats,
                "fresh": self._options.fresh,
                "ref": ref.text,
            },
            versions=versions(),
        )


def _marked(target: Target, mark: str) -> Target:
    """The same target under other digests: what `mark` names decides the answers too."""

    def marked(digest: str) -> str:
        return sha256(f"{mark}\n{digest}".encode()).hexdigest() if digest else ""

    decides: Callable[[Sample], str] | None = target.case_digest
    case = (lambda sample: marked(decides(sample))) if decides else None
    return replace(target, digest=marked(target.digest), case_digest=case)


def _overrides(text: str, settings: Settings) -> dict[str, object]:
    """`search.candidates=50,llm.temperature=1` as nested fields."""
    nested: dict[str, object] = {"home": settings.home}
    for part in text.split(","):
        key, found, value = part.partition("=")
        *groups, field = key.strip().lower().removeprefix("assay_").replace("__", ".").split(".")
        if not found or not field:
            raise InvalidInput(
                f"{part!r} is no setting.",
                field="ref",
                next_step="Write settings:search.candidates=50; docs/settings.md.",
            )
        place = nested
        for group in groups:
            place = place.setdefault(group, {})  # type: ignore[assignment]
        place[field] = yaml.safe_load(value)
    return nested


def _cannot_matter(ref: Reference, why: str, next_step: str = "") -> InvalidInput:
    return InvalidInput(
        f"{ref.text} cannot matter: {why}.",
        field="ref",
        next_step=next_step or "Use a suite that calls what the REF changes: assay eval list",
    )
