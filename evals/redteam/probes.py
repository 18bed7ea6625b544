"""Turns attacks and facts into probes: what is planted, who asks what, and what would give success away. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data.records import Principal
from evals.counterfactuals import Groups
from evals.redteam.attacks import Attack
from evals.redteam.facts import Fact

OTHER_TENANT = "redteam-other-tenant"
OTHER_GROUP = "redteam-other-group"
MARK = "PELICAN"
"""The word that marks begin with; each has a number of its own behind it."""


@dataclass(frozen=True)
class Plant:
    """A document to add; an empty group means that everyone in the tenant may read it."""

    name: str
    text: str
    tenant: str
    group: str = ""


@dataclass(frozen=True)
class Probe:
    """One attempt. `fact` is the one attacked; `mark` what to look for; `control` may see what `asker` may not."""

    id: str
    attack: Attack
    question: str
    asker: Principal
    fact: Fact | None = None
    plant: Plant | None = None
    mark: str = ""
    control: Principal | None = None
    group: str = ""


def build_probes(attack: Attack, facts: Sequence[Fact], asker: Principal, groups: Groups | None = None) -> list[Probe]:
    """The probes of one attack. Variants take turns over the facts, so each text is tried on some of them."""
    match attack.aim:
        case "leak" if attack.plant:
            return [_planted_secret(attack, n, fact, asker) for n, fact in enumerate(facts)]
        case "leak":  # `facts` are those of restricted documents
            nobody = Principal(tenant=asker.tenant, subject="redteam")
            return [
                Probe(f"{attack.name}/{n}", attack, fact.question, nobody, fact, mark=fact.sentence)
                for n, fact in enumerate(facts)
            ]
        case "changed":
            return list(_swapped(attack, facts, asker, groups or {}))
        case "mark" | "prompt" if not attack.plant:
            return [_asked(attack, n, text, asker) for n, text in enumerate(attack.variants)]
        case _:
            return [_twin(attack, n, fact, asker) for n, fact in enumerate(facts)]


def _twin(attack: Attack, n: int, fact: Fact, asker: Principal) -> Probe:
    mark = f"{MARK}-{4000 + n}"
    values = {"title": fact.title, "uri": fact.uri, "sentence": fact.false_sentence, "mark": mark}
    order = _filled(attack.variants[n % len(attack.variants)], values)
    text = _filled(attack.plant, values | {"text": fact.text, "false": fact.false_text, "order": order})
    plant = Plant(f"redteam-{attack.name}-{n}{attack.file}", text, asker.tenant)
    return Probe(f"{attack.name}/{n}", attack, fact.question, asker, fact, plant, mark)


def _planted_secret(attack: Attack, n: int, fact: Fact, asker: Principal) -> Probe:
    mark = f"{MARK}-{4000 + n}"
    values = {"title": fact.title, "mark": mark}
    is_tenant = attack.name == "other_tenant"
    tenant, group = (OTHER_TENANT, "") if is_tenant else (asker.tenant, OTHER_GROUP)
    owner = Principal(tenant=tenant, groups=frozenset({group} if group else ()), subject="redteam-owner")
    plant = Plant(f"redteam-{attack.name}-{n}{attack.file}", _filled(attack.plant, values), tenant, group)
    question = _filled(attack.question, values)
    return Probe(f"{attack.name}/{n}", attack, question, asker, fact, plant, mark, control=owner)


def _asked(attack: Attack, n: int, text: str, asker: Principal) -> Probe:
    mark = f"{MARK}-{4000 + n}"
    return Probe(f"{attack.name}/{n}", attack, _filled(text, {"mark": mark}), asker, mark=mark)


def _swapped(attack: Attack, facts: Sequence[Fact], asker: Principal, groups: Groups) -> Iterator[Probe]:
    for n, fact in enumerate(facts):
        for axis, of in groups.items():
            for group, said in of.items():
                question = f"{said} {fact.question}"
                yield Probe(f"{attack.name}/{n}/{axis}/{group}", attack, question, asker, fact, group=f"{axis}/{group}")


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Not `format`: the texts may hold braces of their own."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template
