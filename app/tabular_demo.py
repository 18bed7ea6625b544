"""The whole path of a tabular model on generated claims, offline: contract, quality, features, training, fairness, explanation, card, endpoint.

Each step calls what its own command calls. Nothing is planted: figures are those of this run.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.settings import Settings, child_environment
from app.tabular import Done, checked_table, train_table_model
from data.errors import InfrastructureError

if TYPE_CHECKING:
    import pandas as pd

    from finetune.tabular.config import Loaded

NAME = "claims-demo"
N_ROWS = 12_000
N_REQUESTS = 50
START_S = 90.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shown:
    """What the demo leaves."""

    done: Done
    pictures: tuple[Path, ...]
    seconds: dict[str, float]


def demo_config() -> "Loaded":
    """The shipped claims config over a smaller table, under a name of its own."""
    from finetune.tabular.config import load_config

    loaded = load_config("claims", [f"name={NAME}"])
    source = loaded.spec.source.model_copy(update={"n_rows": N_ROWS, "n_policies": N_ROWS // 3})
    return loaded.model_copy(update={"spec": loaded.spec.model_copy(update={"source": source})})


def run_demo(settings: Settings, say: Say) -> Shown:
    """Everything but the endpoint. Raises: ContractBroken, TableRefused, as training does."""
    seconds: dict[str, float] = {}

    @contextmanager
    def step(title: str) -> Iterator[None]:
        say(f"\n{len(seconds) + 1}. {title}")
        begun = time.monotonic()
        yield
        seconds[title] = round(time.monotonic() - begun, 1)

    loaded = demo_config()
    with step("Contract and quality"):
        frame = checked_table(loaded.spec, settings, quality=True)
        say(f"{len(frame)} claims keep the contract; page: {settings.var / 'quality'}")
    with step("Features, training, evaluation, MLflow"):
        done = train_table_model(loaded, settings, frame=frame, log=say)
        _tell_figures(done, say)
    with step("Fairness"):
        _tell_fairness(done, say)
    with step("Explanation"):
        pictures = _explained(done, settings, say)
    with step("No skew"):
        _tell_skew(done, frame, say)
    with step("Champion"):
        from serving.tabular.model_store import ModelStore

        ModelStore(settings.tabular_models).set_alias(done.model.name, "champion", done.model.version)
        say(f"{done.model.ref} answers for {done.model.name} from now on. Card: {done.folder / 'README.md'}")
    return Shown(done, pictures, seconds)


@contextmanager
def endpoint(settings: Settings) -> Iterator["subprocess.Popen[bytes]"]:
    """`assay serve` as a process beside this one, ready to answer; it ends with the block. Raises: InfrastructureError."""
    environment = child_environment(ASSAY_HOME=str(settings.home))
    log = settings.var / "tabular" / "demo-server.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as file:
        command = [sys.executable, "-m", "app", "serve"]
        server = subprocess.Popen(command, env=environment, cwd=Path(__file__).parents[1], stdout=file, stderr=file)
        try:
            _wait(server, base_url(settings), log)
            yield server
        finally:
            server.terminate()
            try:
                server.wait(timeout=20)
            except subprocess.TimeoutExpired:
                server.kill()


def base_url(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"


def ask(settings: Settings, done: Done) -> dict[str, Any]:
    """Predict held-out rows one at a time over HTTP; the answer to the first, and how long the others took (ms)."""
    rows = _request_rows(done)
    first = _post(settings, done.model.name, rows[:1])
    took = []
    for at in range(N_REQUESTS):
        begun = time.perf_counter()
        _post(settings, done.model.name, [rows[at % len(rows)]])
        took.append((time.perf_counter() - begun) * 1000)
    took.sort()
    return {"request": rows[0], "reply": first, "p50_ms": round(took[len(took) // 2], 2)}


def curl(settings: Settings, done: Done) -> str:
    body = json.dumps({"rows": _request_rows(done)[:1]})
    return f"curl -s {base_url(settings)}/v1/models/{done.model.name}/predict -H 'Content-Type: application/json' -d '{body}'"


def _tell_figures(done: Done, say: Say) -> None:
    facts = done.model.provenance
    say(
        f"{done.model.ref}: {done.model.kind}, {facts['rows']['training']} training rows, {facts['rows']['held_out']} held out"
    )
    for name in ("roc_auc", "pr_auc", "calibration_error", "cost"):
        one = done.model.baseline[name]
        say(f"  {name:18} {one.value:.4f}  [{one.low:.4f}, {one.high:.4f}]")


def _tell_fairness(done: Done, say: Say) -> None:
    from app.tabular_card import fairness_reports
    from evals.tabular.resampling import told

    rows, outcome = done.trained.rows, done.trained.outcome
    for report in fairness_reports(rows, rows.split.test, outcome.scores >= outcome.threshold):
        for name, figure in report.figures.items():
            say(f"  {report.attribute}: {name:30} {told(figure.measured)}  {figure.verdict}")


def _explained(done: Done, settings: Settings, say: Say) -> tuple[Path, ...]:
    from evals.tabular.explanation import Explainer
    from evals.tabular.explanation_pictures import beeswarm, importance_bar

    explained = Explainer(done.model).rows(done.model.reference.head(500))
    for name, value in list(explained.importance.items())[:5]:
        say(f"  {name:18} {value:.3f} log-odds on average")
    folder = settings.var / "tabular" / "explanations" / done.model.ref
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {"beeswarm.png": beeswarm(explained), "bar.png": importance_bar(explained)}
    for name, content in drawn.items():
        (folder / name).write_bytes(content)
    say(f"Pictures: {folder}")
    return tuple(folder / name for name in drawn)


def _tell_skew(done: Done, frame: "pd.DataFrame", say: Say) -> None:
    """Rows one by one, as a server gets them, against the same rows in bulk, as training got them."""
    from data.tabular.skew import skew

    sample = frame.iloc[done.trained.rows.split.test[:300]]
    found = skew(done.model.features, sample.to_dict("records"), done.model.features.transform(sample))
    say(f"{found.n_rows} rows as features, in bulk and one by one: {found.n_skewed} differ in a bit.")


def _request_rows(done: Done) -> list[dict[str, Any]]:
    """Held-out rows as a client writes them."""
    from data.tabular.mlflow_form import example

    text = example(done.model, N_REQUESTS).to_json(orient="records")
    return [{name: value for name, value in row.items() if value is not None} for row in json.loads(text)]


def _post(settings: Settings, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{base_url(settings)}/v1/models/{name}/predict",
        data=json.dumps({"rows": rows}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.loads(reply.read())


def _wait(server: "subprocess.Popen[bytes]", base: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            tail = log.read_text("utf-8", "replace")[-500:]
            raise InfrastructureError(f"The server ended at once: {tail}", next_step="Choose another port: ASSAY_PORT.")
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=2) as reply:
                if reply.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise InfrastructureError(f"The server at {base} was not ready within {START_S:g} s.", next_step=f"See {log}.")
