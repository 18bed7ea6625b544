"""A database in which everything that the dashboard shows has happened: runs, verdicts, drift, rollouts, traffic. Imported by tests."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert

from data.database import Database
from data.records import EvalRow, EvalRun, Observation, Outcome, Sample, Score, Verdict
from data.tables import eval_rows
from evals.digest import digested
from evals.drift.records import Alarm, Cause, Cluster, CoveragePoint, DriftCheck, MonitorValue
from evals.drift.requests import LoggedRequest, RequestStore
from evals.drift.store import DriftStore
from evals.gate import run_gate
from evals.gate_store import GateHistory
from evals.runner import spent
from evals.scoring import Metric
from evals.store import EvalStore
from serving.rollout.state import Release, Stage
from serving.rollout.store import By, RolloutStore
from serving.rollout.verdicts import record_verdict
from tests.evals.gated_rows import plan_of
from tests.evals.making import answered, citation, hit

METRICS = {
    "token_f1": Metric("token_f1"),
    "support_rate": Metric("support_rate"),
    "recall@10": Metric("recall@10"),
    "latency": Metric("latency", 0.0, None, higher_is_better=False, unit="ms"),
}
TOPICS = ("leave", "travel", "laptops", "pay")
N_SAMPLES = 60
SAMPLES = tuple(
    Sample(
        id=f"handbook-{n:03}",
        question=f"How many {'weeks of leave' if n % 4 == 0 else 'trips, laptops or payments'} does case {n} get?",
        answer=f"{n} of them.",
        metadata={"topic": TOPICS[n % 4], "hard": n % 3 == 0, "cluster": f"d{n // 2}"},
    )
    for n in range(N_SAMPLES)
)
HOSTILE = "<img src=x onerror=alert(1)>"
N_WINDOWS = 60


def fill(database: Database, var: Path, now: datetime | None = None) -> None:
    """Everything at once; random with a seed."""
    now = now or datetime.now(UTC)
    fill_runs(database, now)
    fill_gates(database, now)
    fill_rollouts(database, now)
    fill_drift(database, var, now)
    fill_traffic(database, now)


def fill_runs(database: Database, now: datetime, n_runs: int = 24) -> list[str]:
    """The suite handbook, which loses support after its eighteenth run; and one run of `safety` that failed."""
    store, rng = EvalStore(database), random.Random(0)
    runs = []
    for n in range(n_runs):
        run = EvalRun(
            id=f"run_{n:012d}",
            suite="handbook",
            created_at=now - timedelta(days=n_runs - n, minutes=7),
            target="the whole product (extractive)",
            config={"suite": {"target": {"kind": "rag", "corpus": "sample"}}, "samples_sha256": "ab12", "repeats": 1},
            versions={"assay": "0.1.0", "git": "c0ffee"},
            status="complete",
        )
        _keep(store, run, [_row(run.id, sample, rng, lost=n >= 18) for sample in SAMPLES])
        runs.append(run.id)
    failed = EvalRun(
        id="run_failed000000", suite="safety", created_at=now - timedelta(hours=3), target="a model", status="failed"
    )
    rows = [
        _row(failed.id, s, rng).model_copy(
            update={"observation": Observation(error="the server is away"), "scores": ()}
        )
        for s in SAMPLES[:8]
    ]
    _keep(store, failed, rows)
    begun = EvalRun(
        id="run_begun0000000",
        suite="handbook",
        created_at=now - timedelta(minutes=5),
        target="the whole product (extractive)",
    )
    store.begin(begun, "")
    for sample in SAMPLES[:3]:
        store.append(_row(begun.id, sample, rng))
    return runs


def _keep(store: EvalStore, run: EvalRun, rows) -> None:
    store.begin(run, "")
    bodies = [row.model_dump(mode="json") for row in rows]
    with store._database.append(flush=False) as connection:  # one transaction, where a run has one a row
        keys = [{"run_id": run.id, "sample_id": row.sample_id, "repeat": row.repeat} for row in rows]
        connection.execute(insert(eval_rows), [key | {"body": body} for key, body in zip(keys, bodies, strict=True)])
    store.finish(
        run,
        spent(rows) | {"seconds": 12.5, "prompt_tokens": 800 * len(rows), "completion_tokens": 60 * len(rows)},
        digested(rows, SAMPLES, METRICS),
    )


def _row(run_id: str, sample: Sample, rng: random.Random, lost: bool = False):
    text = f"Case {sample.id} gets some. It is said in the handbook, {HOSTILE}."
    found = [
        hit(text, f"file:///docs/{sample.metadata['topic']}.md"),
        hit("Tea is free in every kitchen.", "file:///docs/tea.md"),
    ]
    hard = sample.metadata["topic"] == "pay"
    support = min(1.0, max(0.0, rng.gauss(0.62 if lost else 0.88, 0.12)))
    values = {
        "token_f1": min(1.0, max(0.0, rng.gauss(0.35 if hard else 0.7, 0.15))),
        "support_rate": support,
        "recall@10": 1.0 if rng.random() < 0.9 else 0.0,
        "latency": rng.lognormvariate(3, 0.3),
    }
    details = {
        "support_rate": {"unsupported": [text] if support < 0.5 else [], "n_sentences": 2},
        "token_f1": {"expected": sample.answer},
    }
    scores = tuple(
        Score(scorer=name, value=None, error="the judge gave no number")
        if name == "recall@10" and sample.id.endswith("7")
        else Score(scorer=name, value=value, detail=details.get(name, {}))
        for name, value in values.items()
    )
    seen = answered((text, [citation(found[0], text)]), "Tea is free.", hits=tuple(found), latency_ms=21.5)
    return EvalRow(
        run_id=run_id,
        sample_id=sample.id,
        cluster=str(sample.metadata["cluster"]),
        input_sha256="0",
        observation=seen,
        scores=scores,
    )


def fill_gates(database: Database, now: datetime) -> list[str]:
    """Three verdicts: pass, fail, pass, a week from each other; the newest is two days old."""
    rng, reports = random.Random(1), []
    for n_samples, loss in ((120, 0.0), (30, 0.4)):
        before = [{"quality": min(1.0, rng.gauss(0.8, 0.1))} for _ in range(n_samples)]
        after = [{"quality": max(0.0, one["quality"] - loss + rng.gauss(0, 0.02))} for one in before]
        reports.append(run_gate(plan_of(before, after)))
    history = GateHistory(database)
    times = [now - timedelta(days=16 - 7 * n) for n in range(3)]
    dated = [one.model_copy(update={"created_at": at}) for one, at in zip((*reports, reports[0]), times, strict=True)]
    return [history.keep(one) for one in dated]


def fill_rollouts(database: Database, now: datetime) -> None:
    days = iter((20, 18, 15, 9, 8, 1))  # ago, of each change
    store = RolloutStore(database, lambda: now - timedelta(days=next(days)))
    for version in ("1", "2", "3"):
        record_verdict(
            database,
            Verdict(
                id=f"vdct_{version}",
                name="support",
                version=version,
                outcome=Outcome.PASS,
                created_at=datetime.now(UTC),
                digest="d",
            ),
        )
    by = By("ana", "the gate passed")
    store.start("support", Release(version="1", digest="d"), by)
    store.promote("support", by)
    store.promote("support", by)
    store.start("support", Release(version="2", digest="d"), by, stage=Stage.CANARY)
    store.rollback("support", By("monitor", "support rate fell by 0.04"))
    store.start("support", Release(version="3", digest="d"), by, stage=Stage.CANARY, share=0.2)


def fill_drift(database: Database, var: Path, now: datetime) -> str:
    """A watch of sixty days whose questions drift from the 42nd on. Returns the alarm's id."""
    store, rng = DriftStore(database), random.Random(2)
    budget = {"budget": 1.0, "budget_days": 30.0, "n_monitors": 4}
    cause = Cause(
        monitor="embedding.mmd",
        told="Questions about parking permits, which no document answers",
        harm=0.043,
        slice="parking, permit, garage",
        share=0.11,
        examples=("Where do I get a parking permit?", "May visitors use the garage?"),
        action="Ingest documents about parking, permit, garage",
    )
    cluster = Cluster(
        id=0, terms=("parking", "permit", "garage"), n=31, share=0.11, similarity=0.21, examples=cause.examples
    )
    check = None
    for n in range(N_WINDOWS):
        is_drifted, end = n >= 42, now - timedelta(days=N_WINDOWS - 1 - n, hours=2)
        harm = (
            {"causes": (cause,), "clusters": (cluster,), "harm": 0.043, "harm_unit": "support rate"}
            if is_drifted
            else {}
        )
        check = DriftCheck(
            id=f"chk_{n:012d}",
            watch="questions",
            kind="language",
            outcome="alarm" if is_drifted else "quiet",
            created_at=end,
            window_start=end - timedelta(days=1),
            window_end=end,
            n_reference=2000,
            n_current=280 + rng.randrange(40),
            reports={"evidently.html": "drift/evidently.html"} if n == N_WINDOWS - 1 else {},
            **budget,
            **harm,
        )
        values = [
            _value(
                "embedding.mmd",
                end,
                rng.gauss(0.09 if is_drifted else 0.012, 0.006),
                0.05,
                0.043 if is_drifted else None,
            ),
            _value("embedding.classifier_auc", end, rng.gauss(0.61 if is_drifted else 0.505, 0.01), 0.56),
            _value("stream.abstained", end, rng.gauss(0.06, 0.01), 0.12),
            _value("stream.latency_ms", end, rng.gauss(0.1, 0.05), 0.4),
        ]
        store.save(check, values, _points(rng) if n == N_WINDOWS - 1 else ())
    assert check is not None
    opened = now - timedelta(days=N_WINDOWS - 43)
    alarm = Alarm(
        id="alm_000000000001",
        watch="questions",
        kind="language",
        check_id="chk_000000000042",
        monitors=("embedding.mmd", "embedding.classifier_auc"),
        opened_at=opened,
        confirmed_at=opened + timedelta(days=1),
        harm=0.043,
        harm_unit="support rate",
        cause=cause.told,
        action=cause.action,
        causes=(cause,),
        suite="generated/parking-permit-garage",
        n_windows=18,
        last_seen_at=check.window_end,
    )
    store.put_alarm(alarm)
    early = alarm.model_copy(
        update={
            "id": "alm_000000000000",
            "opened_at": now - timedelta(days=50),
            "closed_at": now - timedelta(days=48),
            "cause": "Answers took longer",
            "harm": 0.002,
            "who": "ana",
            "suite": "",
        }
    )
    store.put_alarm(early)
    (var / "drift").mkdir(parents=True, exist_ok=True)
    (var / "drift" / "evidently.html").write_text(
        "<!doctype html><title>Evidently</title><p id=p>drift</p><script>document.getElementById('p').textContent = 'drawn by a script'</script>"
    )
    return alarm.id


def _value(monitor: str, at: datetime, value: float, threshold: float, harm: float | None = None) -> MonitorValue:
    spread = 0.15 * threshold
    return MonitorValue(
        monitor=monitor,
        at=at,
        value=value,
        low=value - spread,
        high=value + spread,
        threshold=threshold,
        is_alarm=value > threshold,
        p_value=0.001 if value > threshold else 0.4,
        harm=harm,
    )


def _points(rng: random.Random) -> list[CoveragePoint]:
    centres = [(-2.0, 1.0), (1.5, 2.0), (0.5, -1.5)]
    chunks = [
        CoveragePoint(kind="chunk", x=rng.gauss(x, 0.5), y=rng.gauss(y, 0.5), label=f"doc#{n}")
        for x, y in centres
        for n in range(60)
    ]
    asked = [
        CoveragePoint(
            kind="query", x=rng.gauss(x, 0.5), y=rng.gauss(y, 0.5), label=f"How long is leave number {n}? {HOSTILE}"
        )
        for x, y in centres
        for n in range(40)
    ]
    gaps = [
        CoveragePoint(
            kind="query",
            x=rng.gauss(3.2, 0.3),
            y=rng.gauss(-1.2, 0.3),
            cluster=0,
            is_gap=True,
            label=f"Where do I get parking permit {n}?",
        )
        for n in range(31)
    ]
    return chunks + asked + gaps


def fill_traffic(database: Database, now: datetime) -> None:
    rng = random.Random(3)
    requests = [
        LoggedRequest(
            receipt_id=f"r{n}",
            tenant="default",
            at=now - timedelta(hours=3 * n),
            question="How long is leave?",
            abstained=rng.random() < 0.1,
            support=rng.random(),
            latency_ms=rng.lognormvariate(3, 0.4),
            prompt_tokens=700,
            completion_tokens=60,
            model="extractive" if n % 3 else "tiny-llm",
        )
        for n in range(240)
    ]
    RequestStore(database).append(requests)
