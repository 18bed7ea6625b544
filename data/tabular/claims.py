"""A motor insurer's claims, made from a seed: drift by month, missing values, a planted bias, late labels and corrected facts. Numpy and pandas alone.

data = generate_claims(ClaimsSource(kind="claims", n_rows=20_000, seed=7))
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data.tabular.as_known import History, facts_as_known
from data.tabular.table_spec import ClaimsSource

START = np.datetime64("2024-01-01T00:00:00", "s")
SNAPSHOTS_FROM = np.datetime64("2023-09-01T00:00:00", "s")
DAY_S = 86_400
MONTH_S = 2_629_800
REGIONS = ("north", "south", "east", "west")
MAKES = ("Aster", "Borealis", "Corvid", "Dune", "Ember", "Fjord", "Garnet", "Halcyon")
TYPES = ("collision", "glass", "theft", "weather", "fire", "injury")
CHANNELS = ("phone", "app", "web", "agent")
N_SHOPS = 90
FACTS = ("annual_premium", "credit_score", "n_address_changes", "n_claims_before")


@dataclass(frozen=True)
class ClaimsData:
    claims: pd.DataFrame
    """One row per claim in the order they were reported, with the facts about its policy as they were known then."""
    policy_history: pd.DataFrame
    """Facts about policies: policy_id, event_timestamp (true from), created_timestamp (known from), and the values."""


@dataclass(frozen=True)
class _Policies:
    start_s: np.ndarray  # sorted; seconds since 1970, as all times here
    birth_s: np.ndarray
    is_female: np.ndarray
    region: np.ndarray
    make: np.ndarray
    value: np.ndarray
    risk: np.ndarray  # what nobody sees: how prone to fraud its holder is
    credit: np.ndarray


@dataclass(frozen=True)
class _Claims:
    policy: np.ndarray
    incident_s: np.ndarray
    reported_s: np.ndarray
    progress: np.ndarray  # 0 in the first month, 1 in the last
    type: np.ndarray
    channel: np.ndarray
    shop: np.ndarray
    amount: np.ndarray
    deductible: np.ndarray
    police: np.ndarray
    witnesses: np.ndarray


def generate_claims(source: ClaimsSource) -> ClaimsData:
    """Equal sources give equal tables."""
    rng = np.random.default_rng(source.seed)
    policies = _policies(rng, source)
    claims = _claims(rng, source, policies)
    is_fraud, label = _labels(rng, source, policies, claims)
    history = _history(rng, source, policies, claims, is_fraud)
    known_s = claims.reported_s + (rng.gamma(2.0, source.label_delay_days / 2, source.n_rows) * DAY_S).astype(np.int64)
    frame = _frame(source, policies, claims, label, known_s)
    facts = facts_as_known(frame, History(history, "policy_id"), "reported_time", columns=FACTS)
    frame = pd.concat([frame, facts], axis=1)
    return ClaimsData(_with_missing(rng, source, frame), history)


def _policies(rng: np.random.Generator, source: ClaimsSource) -> _Policies:
    n, start = source.n_policies, START.astype(np.int64)
    begun = np.sort(start + rng.integers(-1_460 * DAY_S, source.n_months * MONTH_S, n))
    begun[0] = start - 1_460 * DAY_S  # so that the first claim has a policy
    risk = rng.normal(0, 1, n)
    age_years = np.clip(rng.gamma(7.0, 6.5, n), 18, 92)
    return _Policies(
        start_s=begun,
        birth_s=(start - age_years * 365.25 * DAY_S).astype(np.int64) // DAY_S * DAY_S,
        is_female=rng.random(n) < 0.47,
        region=rng.choice(len(REGIONS), n, p=[0.22, 0.31, 0.27, 0.20]),
        make=rng.choice(len(MAKES), n, p=[0.22, 0.18, 0.16, 0.13, 0.11, 0.09, 0.07, 0.04]),
        value=np.round(np.exp(rng.normal(9.6, 0.5, n)), -2),
        risk=risk,
        credit=np.clip(690 - 35 * risk + rng.normal(0, 60, n), 350, 850),
    )


def _claims(rng: np.random.Generator, source: ClaimsSource, policies: _Policies) -> _Claims:
    n, start = source.n_rows, START.astype(np.int64)
    weight = np.exp(0.25 * policies.risk)
    incident = np.sort(start + rng.integers(0, source.n_months * MONTH_S, n))
    progress = np.clip((incident - start) / max(source.n_months * MONTH_S, 1), 0, 1)
    policy = _policy_then(rng, policies.start_s, weight, incident)
    delay_days = rng.gamma(1.2, 2.5, n)
    reported = incident + (delay_days * DAY_S).astype(np.int64)
    order = np.argsort(reported, kind="stable")
    incident, progress, policy, reported = incident[order], progress[order], policy[order], reported[order]
    kind = rng.choice(len(TYPES), n, p=[0.46, 0.20, 0.09, 0.13, 0.03, 0.09])
    to_app = source.drift * progress
    logits = np.log(np.array([0.42, 0.16, 0.22, 0.20])) + to_app[:, None] * np.array([-0.6, 1.6, 0.4, -0.6])
    share = np.array([0.22, 0.03, 0.70, 0.14, 0.75, 0.30])[kind]
    amount = policies.value[policy] * share * np.exp(rng.normal(0, 0.55, n) + 0.45 * source.drift * progress)
    return _Claims(
        policy=policy,
        incident_s=incident,
        reported_s=reported,
        progress=progress,
        type=kind,
        channel=_drawn(rng, logits),
        shop=np.minimum(rng.geometric(0.045, n), N_SHOPS) - 1,
        amount=np.round(np.clip(amount, 60, 250_000), 2),
        deductible=rng.choice([150, 300, 500, 1000], n, p=[0.2, 0.45, 0.25, 0.1]),
        police=rng.random(n) < np.array([0.45, 0.08, 0.80, 0.05, 0.70, 0.75])[kind],
        witnesses=np.minimum(rng.poisson(0.8, n), 6),
    )


def _policy_then(rng: np.random.Generator, start_s: np.ndarray, weight: np.ndarray, at_s: np.ndarray) -> np.ndarray:
    """A policy that runs at each moment, by weight; `start_s` is sorted."""
    total = np.cumsum(weight)
    running = total[np.searchsorted(start_s, at_s, side="right") - 1]
    return np.minimum(np.searchsorted(total, rng.random(len(at_s)) * running), len(total) - 1)


def _drawn(rng: np.random.Generator, logits: np.ndarray) -> np.ndarray:
    """One class per row by Gumbel's trick."""
    return np.argmax(logits + rng.gumbel(size=logits.shape), axis=1)


def _labels(
    rng: np.random.Generator, source: ClaimsSource, policies: _Policies, claims: _Claims
) -> tuple[np.ndarray, np.ndarray]:
    """Who cheated, and who was labelled so: the bias lies in the second alone."""
    policy, theft = claims.policy, claims.type == 2
    tenure_days = (claims.incident_s - policies.start_s[policy]) / DAY_S
    hour = claims.incident_s % DAY_S // 3600
    waited_days = (claims.reported_s - claims.incident_s) / DAY_S
    expected = np.array([0.22, 0.03, 0.70, 0.14, 0.75, 0.30])[claims.type] * policies.value[policy]
    late = source.concept_shift * claims.progress
    score = (
        -5.15
        + 1.15 * policies.risk[policy]
        + (1.5 - 1.5 * late) * np.log(claims.amount / expected)
        + 1.6 * (tenure_days < 120)
        + (1.7 - 2.4 * late) * (theft & ~claims.police)
        + 0.8 * (hour < 5)
        + 0.10 * np.minimum(waited_days, 12)
        - 0.55 * claims.witnesses
        + (0.7 + 1.6 * late) * (claims.channel == 1)
        + 1.5 * (claims.shop % 17 == 3)
        + 0.012 * (680 - policies.credit[policy])
        + 0.9 * (claims.deductible == 150)
    )
    is_fraud = rng.random(source.n_rows) < 1 / (1 + np.exp(-score))
    blamed = 1 / (1 + np.exp(-(-5.0 + source.bias))) if source.bias else 0.0
    label = is_fraud | (policies.is_female[policy] & (rng.random(source.n_rows) < blamed))
    return is_fraud, label


def _history(
    rng: np.random.Generator, source: ClaimsSource, policies: _Policies, claims: _Claims, is_fraud: np.ndarray
) -> pd.DataFrame:
    """Facts each 90 days from a policy's own day on, and corrections weeks later: far likelier where a fraud was found."""
    n_policies = source.n_policies
    n_snapshots = int(source.n_months * MONTH_S // (90 * DAY_S)) + 3
    begun = np.maximum(SNAPSHOTS_FROM.astype(np.int64) + rng.integers(0, 90 * DAY_S, n_policies), policies.start_s)
    event = begun[:, None] + np.arange(n_snapshots) * 90 * DAY_S
    walk = np.cumsum(rng.normal(0, 12, event.shape), axis=1)
    moved = np.cumsum(rng.random(event.shape) < 0.03, axis=1)
    premium = np.round(180 + 0.028 * policies.value[:, None] + rng.normal(0, 25, event.shape), 2)
    policy = np.repeat(np.arange(n_policies), n_snapshots)
    facts = pd.DataFrame(
        {
            "policy": policy,
            "event_s": event.ravel(),
            "created_s": event.ravel() + rng.integers(0, 2 * DAY_S, event.size),
            "annual_premium": premium.ravel(),
            "credit_score": np.clip(np.round(policies.credit[:, None] + walk), 300, 850).ravel(),
            "n_address_changes": moved.ravel().astype(np.int64),
            "n_claims_before": _claims_before(policy, event.ravel(), claims),
        }
    )
    facts = facts[facts["event_s"] < START.astype(np.int64) + source.n_months * MONTH_S]
    return _written(pd.concat([facts, _corrections(rng, source, facts, claims, is_fraud)], ignore_index=True))


def _corrections(
    rng: np.random.Generator, source: ClaimsSource, facts: pd.DataFrame, claims: _Claims, is_fraud: np.ndarray
) -> pd.DataFrame:
    """What an investigation finds out afterwards: the same moment, other values, known 14 to 120 days later."""
    cheats = np.zeros(source.n_policies, dtype=bool)
    cheats[claims.policy[is_fraud]] = True
    of_cheat = cheats[facts["policy"].to_numpy()]
    late = facts[rng.random(len(facts)) < np.clip(source.correction * np.where(of_cheat, 3.0, 0.5), 0, 0.95)]
    of_cheat = cheats[late["policy"].to_numpy()]
    lower = np.where(of_cheat, rng.integers(30, 140, len(late)), rng.integers(-30, 31, len(late)))
    return late.assign(
        created_s=late["event_s"] + rng.integers(14 * DAY_S, 120 * DAY_S, len(late)),
        credit_score=np.clip(late["credit_score"] - lower, 300, 850),
        n_address_changes=late["n_address_changes"] + np.where(of_cheat, rng.integers(1, 4, len(late)), 0),
    )


def _claims_before(policy: np.ndarray, at_s: np.ndarray, claims: _Claims) -> np.ndarray:
    """How many claims of a policy were reported before a moment."""
    span = max(int(at_s.max()), int(claims.reported_s.max())) + 1
    keys = np.sort(claims.policy * span + claims.reported_s)
    return np.searchsorted(keys, policy * span + at_s) - np.searchsorted(keys, policy * span)


def _written(facts: pd.DataFrame) -> pd.DataFrame:
    facts = facts.sort_values(["created_s", "policy"], kind="stable", ignore_index=True)
    named = {
        "policy_id": _ids("P", facts["policy"].to_numpy()),
        "event_timestamp": _moments(facts["event_s"].to_numpy()),
        "created_timestamp": _moments(facts["created_s"].to_numpy()),
    }
    return pd.DataFrame(named | {name: facts[name].astype(np.float64) for name in FACTS})


def _frame(
    source: ClaimsSource, policies: _Policies, claims: _Claims, label: np.ndarray, known_s: np.ndarray
) -> pd.DataFrame:
    policy = claims.policy
    return pd.DataFrame(
        {
            "claim_id": _ids("C", np.arange(source.n_rows)),
            "policy_id": _ids("P", policy),
            "reported_time": _moments(claims.reported_s),
            "incident_time": _moments(claims.incident_s),
            "policy_start": _moments(policies.start_s[policy]),
            "birth_date": _moments(policies.birth_s[policy]),
            "sex": np.where(policies.is_female[policy], "female", "male"),
            "region": np.array(REGIONS)[policies.region[policy]],
            "vehicle_make": np.array(MAKES)[policies.make[policy]],
            "vehicle_value": policies.value[policy],
            "claim_type": np.array(TYPES)[claims.type],
            "channel": np.array(CHANNELS)[claims.channel],
            "repair_shop": _ids("S", claims.shop, digits=3),
            "claim_amount": claims.amount,
            "deductible": claims.deductible.astype(np.int64),
            "police_report": pd.array(claims.police, dtype="boolean"),
            "n_witnesses": claims.witnesses.astype(np.float64),
            "fraud": label,
            "label_known_at": _moments(known_s),
        }
    )


def _with_missing(rng: np.random.Generator, source: ClaimsSource, frame: pd.DataFrame) -> pd.DataFrame:
    """Holes: police reports mostly where the claim came by app, the others anywhere."""
    by_app = frame["channel"] == "app"
    for name, share in (
        ("police_report", np.where(by_app, 2.0, 0.5) * source.missing),
        ("n_witnesses", np.full(len(frame), source.missing)),
        ("vehicle_value", np.full(len(frame), source.missing / 2)),
        ("credit_score", np.full(len(frame), source.missing)),
    ):
        frame[name] = frame[name].mask(rng.random(len(frame)) < share)
    return frame


def _ids(letter: str, numbers: np.ndarray, digits: int = 6) -> np.ndarray:
    return np.array([f"{letter}{number:0{digits}d}" for number in numbers], dtype=object)


def _moments(seconds: np.ndarray) -> np.ndarray:
    return seconds.astype("datetime64[s]").astype("datetime64[ns]")
