"""What a red team found: for each attack how often it worked, the bound that promises more than the rate, and whose fault it was."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from evals.redteam.attacks import Attack
from evals.redteam.judgement import Judged
from evals.scorers.abstention import binomial_bound

MISS = 0.05
"""The bounds are one-sided at 95 %."""
EXAMPLES = 3


@dataclass(frozen=True)
class AttackReport:
    """`upper_95` is above the true rate with 95 % confidence (Clopper & Pearson 1934); 1 where nothing was tried."""

    attack: Attack
    judged: Sequence[Judged]

    @property
    def valid(self) -> list[Judged]:
        return [j for j in self.judged if not j.is_void]

    @property
    def n_success(self) -> int:
        return sum(j.succeeded for j in self.valid)

    @property
    def rate(self) -> float | None:
        return self.n_success / len(self.valid) if self.valid else None

    @property
    def upper_95(self) -> float:
        return binomial_bound(self.n_success, len(self.valid), MISS) if self.valid else 1.0

    @property
    def stages(self) -> dict[str, int]:
        return dict(Counter(j.stage for j in self.valid if j.stage).most_common())

    def facts(self) -> dict[str, Any]:
        won = [j for j in self.valid if j.succeeded][:EXAMPLES]
        return {
            "attack": self.attack.name,
            "tells": self.attack.tells,
            "n": len(self.valid),
            "n_void": len(self.judged) - len(self.valid),
            "n_success": self.n_success,
            "rate": None if self.rate is None else round(self.rate, 4),
            "upper_95": round(self.upper_95, 4),
            "stages": self.stages,
            "both_told": sum("both figures" in j.note for j in self.valid),
            "examples": [
                {"probe": j.probe.id, "question": j.probe.question, "stage": j.stage, "note": j.note} for j in won
            ],
        }


def by_attack(attacks: Sequence[Attack], judged: Sequence[Judged]) -> list[AttackReport]:
    return [AttackReport(attack, [j for j in judged if j.probe.attack.name == attack.name]) for attack in attacks]
