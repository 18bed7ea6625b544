"""Made-up loans over two years as a csv file and a spec, and written-down models of them: a fair one, one that looks at the sex."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from data.database import Database
from data.tabular.estimators.linear import LinearEstimator
from data.tabular.features import FeatureConfig, FeatureTransformer
from data.tabular.model import Costs, TabularModel
from data.tabular.model_files import save_model
from data.tabular.table import settle
from data.tabular.table_spec import FileSource, TableSpec, parse_spec
from serving.tabular.prediction_store import KeptPrediction, PredictionLabel, PredictionStore

SPEC = {
    "name": "loans",
    "source": {"kind": "csv", "paths": ["loans.csv"]},
    "columns": {
        "loan": {"kind": "integer"},
        "year": {"kind": "integer"},
        "income": {"kind": "number"},
        "amount": {"kind": "number"},
        "sex": {"kind": "category", "values": ["f", "m"]},
        "repaid": {"kind": "boolean"},
    },
    "target": "repaid",
    "positive": "true",
    "id": "loan",
    "time": "year",
    "protected": {"sex": {"privileged": ["m"]}},
}


def rows(n: int, year: int, seed: int, concept: float = 1.0) -> pd.DataFrame:
    """`concept` is how much of what used to decide still does: 1 for all, -1 for the opposite."""
    rng = np.random.default_rng(seed)
    income, amount = rng.normal(0, 1, n), rng.normal(0, 1, n)
    truth = 1 / (1 + np.exp(-concept * (1.2 * income - 0.8 * amount)))
    return pd.DataFrame(
        {
            "loan": np.arange(n) + 100_000 * year,
            "year": year,
            "income": income,
            "amount": amount,
            "sex": rng.choice(["f", "m"], n),
            "repaid": rng.random(n) < truth,
        }
    )


def table(folder: Path, *years: pd.DataFrame) -> TableSpec:
    """The spec, its source an absolute path, as a saved model has it."""
    path = folder / "loans.csv"
    pd.concat(years).to_csv(path, index=False)
    spec = parse_spec(SPEC)
    return spec.model_copy(update={"source": FileSource(kind="csv", paths=(path,))})


def saved(folder: Path, spec: TableSpec, version: str = "1", *, sex: float = 0.0, n: int = 600) -> Path:
    """A model that weighs income and amount as the truth does, and a man's request by `sex` besides; held-out rows of 2020."""
    reference = settle(rows(n, 2020, 7), spec)[0]
    features = FeatureTransformer.fit(reference, spec, FeatureConfig(scale=False))
    weights = {"income": 1.2, "amount": -0.8, "sex=m": sex / 2, "sex=f": -sex / 2}
    estimator = LinearEstimator(np.array([weights.get(name, 0.0) for name in features.feature_names]), 0.0)
    model = TabularModel(
        "loans", version, spec, features, estimator, costs=Costs(1, 2), reference=reference.drop(columns="loan")
    )
    target = folder / f"loans@{version}"
    save_model(model, target)
    return target


def keep_served(database_path: Path, model: TabularModel, frame: pd.DataFrame) -> None:
    """Half of the rows as served in January 2026 with their labels, the other half in February, without."""
    database = Database(f"sqlite:///{database_path}")
    database.migrate()
    store, settled = PredictionStore(database), settle(frame, model.spec)[0]
    matrix = model.matrix(settled)
    scores = model.scores_of_features(matrix)
    kept, labels = [], []
    for at, (features, score, repaid) in enumerate(zip(matrix, scores, settled["repaid"], strict=True)):
        is_january = at < len(frame) // 2
        moment = datetime(2026, 1 if is_january else 2, 10, tzinfo=UTC)
        kept.append(
            KeptPrediction(
                key=f"r:{at}",
                model=model.name,
                version=model.version,
                score=float(score),
                decision=bool(score >= model.threshold),
                row={},
                features=features.astype("<f4").tobytes(),
                at=moment,
            )
        )
        if is_january:
            labels.append(PredictionLabel(subject=f"r:{at}", label=bool(repaid), known_at=moment))
    store.add(kept)
    store.label(model.name, labels)
    database.close()
