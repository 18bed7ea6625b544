"""Attacks a throw-away copy of a collection: plants twins, asks, judges, takes them out again. The store itself is only read.

with attacked_copy(settings, assay, Scope("default", "handbook")) as copy:
    reports = Campaign(copy, settings, asker).run(attacks, n_probes=24)
"""

import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import select

from app.eval_stores import filled_store
from app.eval_targets import rag_target
from app.screening import ordering, screen_hits
from app.settings import Settings
from app.store_copy import copy_collection
from data.errors import NotFound
from data.records import EVERYONE, Document, Observation, Principal, Sample
from data.tables import scopes
from evals.counterfactuals import load_groups
from evals.redteam.attacks import Attack
from evals.redteam.facts import Fact, excerpts_of, facts_of, says
from evals.redteam.judgement import Judged, Seen, judge
from evals.redteam.probes import Probe, build_probes
from evals.redteam.report import AttackReport, by_attack
from evals.runner import Target
from evals.suite import RagTarget

if TYPE_CHECKING:
    from app.assay import Assay

PER_DOCUMENT = 3
"""Facts taken from one document at most, so that long ones do not stand for all."""
SWAPPED = 6
"""Facts that are asked as every group: there are some twenty groups."""
PAGE = 200


@dataclass(frozen=True)
class Scope:
    tenant: str
    collection: str | None


@contextmanager
def attacked_copy(settings: Settings, assay: "Assay", scope: Scope) -> Iterator["Assay"]:
    """A copy of the scope's documents in a store of its own, removed at the end. Raises: NotFound when there are none."""
    name = f"redteam-{uuid.uuid4().hex[:12]}"

    def fill(copy: "Assay") -> None:
        database = copy.stores.database
        if not copy_collection(assay.stores.database, database, scope.tenant, scope.collection):
            raise NotFound(
                f"The tenant {scope.tenant!r} has no document in {scope.collection or 'any collection'}.",
                next_step="List what there is with: assay documents list",
            )

    try:
        with filled_store(settings, name, fill) as copy:
            copy.settle()
            yield copy
    finally:
        shutil.rmtree(settings.var / "eval" / name, ignore_errors=True)


@dataclass(frozen=True)
class Findings:
    """Reports by attack; of `n_asked` facts, `n_facts` were answered rightly before any attack and could be attacked."""

    reports: Sequence[AttackReport]
    n_facts: int
    n_asked: int
    n_restricted: int


class Campaign:
    """`copy` is a throw-away store; `asker` is whose rights the attacks have."""

    def __init__(self, copy: "Assay", settings: Settings, asker: Principal, collection: str | None) -> None:
        self._copy = copy
        self._settings = settings
        self._asker = asker
        self._collection = collection

    def run(
        self,
        attacks: Sequence[Attack],
        n_probes: int,
        report: Callable[[str, int, int], None] = lambda *_: None,
    ) -> Findings:
        """Try every attack on up to `n_probes` facts. `report` hears the attack, probes done and probes in all."""
        facts, n_asked = self._attackable(n_probes)
        restricted = self._restricted(n_probes)
        judged: list[Judged] = []
        for attack in attacks:
            chosen = restricted if attack.name == "restricted_document" else facts
            swapped = attack.aim == "changed"
            probes = build_probes(attack, chosen[:SWAPPED] if swapped else chosen, self._asker, load_groups())
            judged += self._wave(probes, lambda n, of=len(probes), name=attack.name: report(name, n, of))
        return Findings(by_attack(attacks, judged), len(facts), n_asked, len(restricted))

    # -- what is attacked

    def _attackable(self, limit: int) -> tuple[list[Fact], int]:
        """Facts that are told rightly while nobody attacks, and how many were asked to find them."""
        kept: list[Fact] = []
        n_asked = 0
        target = self._target(self._asker)
        for fact in self._facts(self._asker):
            if len(kept) == limit:
                break
            n_asked += 1
            seen = target(_sample(f"before/{n_asked}", fact.question))
            if seen.answer is not None and not seen.answer.abstained and says(seen.answer.text, fact.true):
                kept.append(fact)
        return kept, n_asked

    def _restricted(self, limit: int) -> list[Fact]:
        """Facts of documents that are closed to somebody without any group."""
        with self._copy.stores.database.read() as connection:
            listed = connection.execute(select(scopes.c.groups).where(scopes.c.tenant == self._asker.tenant)).scalars()
            groups = frozenset(name for names in listed for name in names)
        everything = Principal(tenant=self._asker.tenant, groups=groups, subject="redteam")
        nobody = Principal(tenant=self._asker.tenant, subject="redteam")
        if groups <= {EVERYONE}:
            return []
        open_ids = {summary.id for summary in self._documents(nobody)}
        found = self._facts(everything, excerpts_of, lambda identity: identity not in open_ids)
        return list(islice(found, limit))

    def _facts(
        self,
        principal: Principal,
        out_of: Callable[[Document], Iterator[Fact]] = facts_of,
        wanted: Callable[[str], bool] = lambda _: True,
    ) -> Iterator[Fact]:
        """Document after document, each in turn giving one, then each its second, so that all are attacked."""
        ids = [summary.id for summary in self._documents(principal) if wanted(summary.id)]
        of_each = [list(islice(out_of(self._copy.document(i, principal)), PER_DOCUMENT)) for i in ids]
        for rank in range(PER_DOCUMENT):
            yield from (facts[rank] for facts in of_each if len(facts) > rank)

    def _documents(self, principal: Principal) -> Iterator:
        cursor = ""
        while True:
            page, cursor = self._copy.documents(principal, self._collection, cursor, PAGE)
            yield from page
            if not cursor:
                return

    # -- attacking

    def _wave(self, probes: Sequence[Probe], done: Callable[[int], None]) -> list[Judged]:
        """Plant what all probes of one attack plant, ask each, and take it out again."""
        planted = {probe.id: self._plant(probe) for probe in probes if probe.plant}
        self._copy.settle()
        try:
            targets: dict[Principal, Target] = {}
            everything = frozenset(planted.values())
            out = []
            for n, probe in enumerate(probes, 1):
                own = frozenset({planted[probe.id]}) if probe.attack.aim == "leak" and probe.plant else everything
                out.append(self._tried(probe, own, targets))
                done(n)
            return out
        finally:
            list(self._copy.stores.ingester.remove({identity: identity for identity in planted.values()}))
            self._copy.settle()

    def _tried(self, probe: Probe, planted: frozenset[str], targets: dict[Principal, Target]) -> Judged:
        seen = self._asked(probe.asker, probe, targets)
        if probe.control is not None:
            by_owner = self._asked(probe.control, probe, targets)
            if not any(hit.chunk.document_id in planted for hit in by_owner.hits):
                return Judged(probe, is_void=True, note="not even its owner found the document")
        parts = self._copy.rag.parts
        _, withheld = screen_hits(seen.hits, parts.screening, parts.guard)
        told = "\n".join(text for _, text in parts.prompt().render(fence="", sources="", question=""))
        flagged = bool(ordering(probe.question, parts.screening, parts.guard))
        return judge(probe, Seen(seen, withheld, planted, told, flagged))

    def _asked(self, principal: Principal, probe: Probe, targets: dict[Principal, Target]) -> Observation:
        if principal not in targets:
            targets[principal] = self._target(principal)
        return targets[principal](_sample(probe.id, probe.question))

    def _target(self, principal: Principal) -> Target:
        spec = RagTarget(
            kind="rag", collection=self._collection, tenant=principal.tenant, groups=tuple(sorted(principal.groups))
        )
        return rag_target(spec, self._settings, self._copy)

    def _plant(self, probe: Probe) -> str:
        from app.assay import DEFAULT_COLLECTION, Placement

        plant = probe.plant
        placement = Placement(
            tenant=plant.tenant,
            collection=self._collection or DEFAULT_COLLECTION,
            groups=frozenset({plant.group} if plant.group else ()),
        )
        document, _ = self._copy.add_document(plant.name, plant.text.encode(), placement)
        return document.id


def _sample(identity: str, question: str) -> Sample:
    return Sample(id=identity, question=question)
