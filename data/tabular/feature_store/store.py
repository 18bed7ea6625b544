"""Training reads and serving reads of the same facts, by Feast. Imports in 12 s; knows no model and no table but the facts about policies.

store = PolicyStore(Path("var/tabular/features"))
store.write_history(data.policy_history); store.apply(); store.materialize(now)
frame = store.training_facts(claims, "reported_time")       # as known then
facts = store.online_facts(["P000123"])                     # as known at the last `materialize`
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from feast import FeatureStore

from data.errors import InfrastructureError, InvalidInput, NotFound
from data.tabular.as_known import History, facts_as_known
from data.tabular.feature_store import definitions
from data.tabular.feature_store.definitions import TTL, claim_decision, policy, policy_facts

HERE = Path(__file__).parent
FACTS = tuple(field.name for field in policy_facts.schema)
KEY = policy.join_key
TTL_DAYS = TTL.total_seconds() / 86_400


class PolicyStore:
    """A Feast repository in `folder`: `feast -c FOLDER` works on it as well. Cheap to make; the first call opens Feast."""

    def __init__(self, folder: Path, config: Path = HERE / "feature_store.yaml") -> None:
        self._folder = folder
        self._config = config
        self._store: FeatureStore | None = None

    @property
    def history_path(self) -> Path:
        return self._folder / policy_facts.batch_source.path

    def write_history(self, history: pd.DataFrame) -> Path:
        """Write the facts as the offline store's parquet. Raises: InvalidInput for missing columns."""
        needed = [KEY, "event_timestamp", "created_timestamp", *FACTS]
        if absent := [name for name in needed if name not in history]:
            raise InvalidInput(
                f"The history has no {', '.join(absent)}.", field=absent[0], next_step=f"It needs {', '.join(needed)}."
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        written = history[needed].astype({KEY: str})
        for name in ("event_timestamp", "created_timestamp"):
            written[name] = written[name].dt.tz_localize("UTC").astype("datetime64[us, UTC]")
        written["event_timestamp"] += _microseconds_of_corrections(written)
        aside = self.history_path.with_suffix(".writing")
        written.to_parquet(aside, index=False)
        aside.replace(self.history_path)
        return self.history_path

    def apply(self) -> None:
        """Register entity, view and service, and leave the repository readable for the `feast` command."""
        self._folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._config, self._folder / "feature_store.yaml")
        shutil.copyfile(definitions.__file__, self._folder / "definitions.py")
        with _translated("apply the definitions"):
            self._opened().apply([policy, definitions.policy_source, policy_facts, claim_decision])

    def training_facts(self, rows: pd.DataFrame, time: str, *, as_known: bool = True) -> pd.DataFrame:
        """The facts [n, 4] of each row by a point-in-time join, index as `rows`.

        With `as_known` only facts written by the row's time count; without, later corrections leak in (Feast's default).
        """
        asked = pd.DataFrame(
            {KEY: rows[KEY].astype(str).to_numpy(), "event_timestamp": rows[time].dt.tz_localize("UTC")}
        )
        distinct = asked.drop_duplicates()  # Feast gives one row for equal pairs of key and time
        with _translated("read training facts"):
            joined = (
                self._opened()
                .get_historical_features(distinct, features=claim_decision, filter_by_created_timestamp=as_known)
                .to_df()
            )
        joined["event_timestamp"] = joined["event_timestamp"].astype(asked["event_timestamp"].dtype)
        return asked.merge(joined, how="left", on=[KEY, "event_timestamp"]).set_index(rows.index)[list(FACTS)]

    def materialize(self, at: datetime) -> int:
        """Write each policy's newest fact known by `at` (UTC, without a zone) to the online store; returns how many.

        Feast's own `materialize` looks at events alone and would serve what was written after `at`.
        """
        if not self.history_path.exists():
            raise NotFound(f"There is no history at {self.history_path}.", next_step="Write it: assay data features")
        history = pd.read_parquet(self.history_path)
        for name in ("event_timestamp", "created_timestamp"):
            history[name] = history[name].dt.tz_localize(None).astype("datetime64[ns]")
        keys = pd.DataFrame({KEY: history[KEY].unique(), "at": pd.Timestamp(at)})
        known = History(history.assign(event=history["event_timestamp"], written=history["created_timestamp"]), KEY)
        facts = facts_as_known(keys, known, "at", ttl_days=TTL_DAYS, columns=(*FACTS, "event", "written"))
        there = facts["event"].notna()
        newest = pd.concat([keys[KEY], facts], axis=1)[there].rename(
            columns={"event": "event_timestamp", "written": "created_timestamp"}
        )
        if len(newest):
            with _translated("write online facts"):
                self._opened().write_to_online_store(policy_facts.name, newest)
        return len(newest)

    def online_facts(self, policy_ids: Sequence[str]) -> list[dict[str, float | None]]:
        """The facts of each policy for serving, in the order asked; None where it has none."""
        with _translated("read online facts"):
            read = (
                self._opened()
                .get_online_features(features=claim_decision, entity_rows=[{KEY: one} for one in policy_ids])
                .to_dict()
            )
        return [{name: read[name][at] for name in FACTS} for at in range(len(policy_ids))]

    def _opened(self) -> FeatureStore:
        if self._store is None:
            with _translated("open the feature store"):
                self._store = FeatureStore(repo_path=str(self._folder), fs_yaml_file=self._config)
        return self._store


def _microseconds_of_corrections(history: pd.DataFrame) -> pd.Series:
    """0 for the first fact about a moment, 1 for its first correction, 2 for the next, in the order they were written.

    Feast sorts by `created`, then by `event`, with a sort that keeps no order among equals: of a fact and its correction about the same
    moment it may take either: measured, 1 % of the training rows of 3,000 generated claims got the one corrected since.
    """
    order = history.sort_values("created_timestamp", kind="stable")
    nth = order.groupby([KEY, "event_timestamp"], observed=True).cumcount()
    return pd.to_timedelta(nth, unit="us").reindex(history.index)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Feast raises everything from ValueError to a driver's own errors."""
    try:
        yield
    except Exception as error:
        cause: Any = str(error).strip().splitlines()
        raise InfrastructureError(
            f"Feast could not {what}: {type(error).__name__}: {cause[0] if cause else ''}",
            next_step="Check feature_store.yaml and that its stores run; docs/tables.md shows how.",
        ) from error
