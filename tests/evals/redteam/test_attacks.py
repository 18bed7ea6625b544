from evals.redteam.attacks import load_attacks
from evals.redteam.judgement import _SUCCESS


def test_every_attack_has_texts_that_can_succeed():
    attacks = load_attacks()
    assert {a.aim for a in attacks.values()} == set(_SUCCESS)
    for attack in attacks.values():
        texts = [attack.plant, attack.question, *attack.variants]
        if attack.aim == "mark":
            assert all("{mark}" in variant for variant in attack.variants), attack.name
        if attack.aim == "laundered":
            assert all("{sentence}" in variant for variant in attack.variants), attack.name
        if attack.aim == "fact":
            assert any("{false}" in text for text in texts), attack.name
        assert bool(attack.plant) == bool(attack.file), attack.name


def test_a_hidden_order_is_never_in_plain_sight():
    hidden = load_attacks()["hidden_order"]
    for variant in hidden.variants:
        assert any(sign in variant for sign in ("<!--", "display:none", "#fff", "hidden", "\u200b", "alt=", "Ｉ")), (
            variant
        )
