"""python app/bench/nannyml_reference.py REFERENCE.pq ANALYSIS.pq TARGET.pq: NannyML on the windows of `app.bench.drift employment`

Runs in an environment of its own (pip install nannyml) and knows nothing of ours. Prints one JSON object: the rank correlation of CBPE's estimated
accuracy loss, of its univariate drift (Jensen-Shannon, the largest column) and of its data reconstruction error with the true loss.
"""

import json
import sys
import time

import nannyml
import numpy as np
import pandas as pd

ROWS = 5000
SCORE, SAID, TARGET = "predicted_probability", "prediction", "employed"


def main(reference_path: str, analysis_path: str, target_path: str) -> None:
    began = time.perf_counter()
    reference, analysis = pd.read_parquet(reference_path), pd.read_parquet(analysis_path)
    labels = pd.read_parquet(target_path).set_index("id")[TARGET]
    columns = [name for name in reference if name not in ("id", "year", SCORE, SAID, TARGET)]
    words = [name for name in columns if name != "AGEP"]
    for frame in (reference, analysis):
        frame[words] = frame[words].astype("category")
        frame[SAID] = (frame[SCORE] >= 0.5).astype(int)
    usual = float((reference[SAID] == reference[TARGET]).mean())
    true = [
        usual - float((part[SAID].to_numpy() == labels.loc[part["id"]].to_numpy()).mean())
        for at in range(0, len(analysis) - ROWS + 1, ROWS)
        for part in [analysis.iloc[at : at + ROWS]]
    ]
    n = len(true)
    cbpe = nannyml.CBPE(
        y_pred=SAID,
        y_pred_proba=SCORE,
        y_true=TARGET,
        metrics=["accuracy"],
        problem_type="classification_binary",
        chunk_size=ROWS,
    )
    estimated = cbpe.fit(reference).estimate(analysis).filter(period="analysis").to_df()
    loss = usual - estimated[("accuracy", "value")].to_numpy(float)[:n]
    moved = nannyml.UnivariateDriftCalculator(
        column_names=columns,
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_size=ROWS,
    )
    drift = moved.fit(reference).calculate(analysis).filter(period="analysis").to_df()
    largest = np.max([drift[(name, "jensen_shannon", "value")].to_numpy(float)[:n] for name in columns], axis=0)
    alerts = np.sum([drift[(name, "jensen_shannon", "alert")].to_numpy(bool)[:n] for name in columns], axis=0)
    rebuilt = nannyml.DataReconstructionDriftCalculator(column_names=columns, chunk_size=ROWS)
    error = rebuilt.fit(reference).calculate(analysis).filter(period="analysis").to_df()
    reconstruction = error[("reconstruction_error", "value")].to_numpy(float)[:n]
    found = {"cbpe": loss, "largest_js": largest, "reconstruction": reconstruction}
    print(
        json.dumps(
            {
                "nannyml": nannyml.__version__,
                "n_windows": n,
                "spearman_with_true_loss": {name: _spearman(values, true) for name, values in found.items()},
                "cbpe_mean_absolute_error": float(np.abs(loss - true).mean()),
                "univariate_alerts_per_window": float(alerts.mean()),
                "seconds": round(time.perf_counter() - began, 1),
            }
        )
    )


def _spearman(a: np.ndarray, b: list[float]) -> float:
    return float(np.corrcoef(pd.Series(a).rank(), pd.Series(b).rank())[0, 1])


if __name__ == "__main__":
    main(*sys.argv[1:4])
