from data.records import Principal
from evals.counterfactuals import load_groups
from evals.redteam.attacks import load_attacks
from evals.redteam.probes import OTHER_GROUP, OTHER_TENANT, build_probes
from tests.evals.redteam.test_judgement import FACT

ASKER = Principal(tenant="acme", groups=frozenset({"staff"}))


def probes(attack, n=9):
    return build_probes(load_attacks()[attack], [FACT] * n, ASKER, load_groups())


def test_variants_take_turns_and_no_placeholder_is_left():
    for name, attack in load_attacks().items():
        made = probes(name)
        assert made, name
        texts = [p.plant.text if p.plant else p.question for p in made]
        assert not any(
            "{" + word + "}" in text for text in texts for word in ("title", "text", "order", "mark", "false")
        )
        if attack.aim == "mark":
            assert len({p.mark for p in made}) == len(made)
            assert all(p.mark in text for p, text in zip(made, texts, strict=True))
            assert len(set(texts)) >= min(len(attack.variants), 9)


def test_twins_are_planted_where_the_asker_reads_and_secrets_where_they_do_not():
    assert {p.plant.tenant for p in probes("fact_corruption")} == {"acme"}
    (tenant,) = {p.plant.tenant for p in probes("other_tenant")}
    (group,) = {p.plant.group for p in probes("other_group")}
    assert (tenant, group) == (OTHER_TENANT, OTHER_GROUP)
    assert {p.plant.tenant for p in probes("other_group")} == {"acme"}
    for name in ("other_tenant", "other_group"):
        for one in probes(name):
            assert one.asker == ASKER
            assert one.control.tenant == one.plant.tenant
            assert one.mark not in one.question


def test_restricted_documents_are_asked_for_without_any_group():
    assert {p.asker.groups for p in probes("restricted_document")} == {frozenset()}


def test_every_group_asks_every_fact_once():
    made = probes("group_swap", n=2)
    n_groups = sum(len(groups) for groups in load_groups().values())
    assert len(made) == 2 * n_groups
    assert len({(p.group, p.id) for p in made}) == len(made)
