"""Opens what `/dashboard` reads: stores of the installation's database, and a few facts of its settings."""

from importlib.util import find_spec
from pathlib import Path

from app.receipts import ReceiptStore
from app.settings import Settings
from app.web.dashboard.sources import Prices, Sources
from data.database import Database
from evals.digest_store import RunHistory
from evals.drift.store import DriftStore
from evals.gate_store import GateHistory
from evals.traffic import Traffic
from serving.rollout.store import RolloutStore


def build_dashboard(settings: Settings, database: Database) -> Sources:
    """Charts are drawn where the package plotly is installed, which is not imported."""
    return Sources(
        runs=RunHistory(database),
        gates=GateHistory(database),
        rollouts=RolloutStore(database),
        receipts=ReceiptStore(database),
        drift=DriftStore(database),
        traffic=Traffic(database),
        prices=Prices(settings.evals.price_prompt, settings.evals.price_completion),
        share=settings.watch.share,
        mlflow=settings.mlflow,
        plotly=plotly_script(),
        var=settings.var,
    )


def plotly_script() -> Path | None:
    """The installed package's script; None where it is not installed."""
    package = find_spec("plotly")
    if package is None or package.origin is None:
        return None
    script = Path(package.origin).parent / "package_data" / "plotly.min.js"
    return script if script.is_file() else None
