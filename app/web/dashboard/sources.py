"""What the views read: stores of the installation's database, and a few facts of its settings. Built by `app.wiring`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.receipts import ReceiptStore
    from evals.digest_store import RunHistory
    from evals.drift.store import DriftStore
    from evals.gate_store import GateHistory
    from evals.traffic import Traffic
    from serving.rollout.store import RolloutStore


@dataclass(frozen=True)
class Prices:
    """Of a million tokens; zero where nothing was set."""

    prompt: float = 0.0
    completion: float = 0.0

    @property
    def are_known(self) -> bool:
        return bool(self.prompt or self.completion)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float | None:
        if not self.are_known:
            return None
        return round((prompt_tokens * self.prompt + completion_tokens * self.completion) / 1e6, 6)


@dataclass(frozen=True)
class Sources:
    runs: "RunHistory"
    gates: "GateHistory"
    rollouts: "RolloutStore"
    receipts: "ReceiptStore"
    drift: "DriftStore"
    traffic: "Traffic"
    prices: Prices = Prices()
    share: float = 1.0
    """The share of questions that leaves a row in the request log."""
    mlflow: str = ""
    """Where MLflow's tracking server is; anything but a web address has no page to link to."""
    plotly: Path | None = None
    """The installed package's plotly.min.js; without it there are tables and no charts."""
    var: Path | None = None
    """Where reports of drift checks lie."""

    @property
    def plotly_address(self) -> str:
        """Another one after an upgrade; empty without plotly."""
        return f"/dashboard/plotly.js?v={self.plotly.stat().st_size}" if self.plotly else ""

    @property
    def mlflow_page(self) -> str:
        return self.mlflow if self.mlflow.startswith(("http://", "https://")) else ""
