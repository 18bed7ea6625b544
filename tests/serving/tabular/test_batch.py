import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from data.errors import InvalidInput, NotFound
from data.tabular.contract import ContractBroken
from serving.tabular import batch
from serving.tabular.batch import BatchConfig, score_partition
from tests.serving.tabular.stores import put_model, request_rows

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = BatchConfig(chunk_rows=16)


@pytest.fixture
def predictor(tmp_path):
    return put_model(tmp_path / "models").predictor("loans")


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "loans-2026-03.parquet"
    pd.DataFrame(request_rows(60)).to_parquet(path)
    return path


@pytest.fixture
def result(tmp_path) -> Path:
    return tmp_path / "scores" / "loans-2026-03.parquet"


class Stopped(Exception):
    pass


def at(moment=MOMENT):
    return lambda: moment


def test_every_row_is_scored_to_the_bits_of_single_rows_with_version_and_time(predictor, source, result):
    report = score_partition(predictor, source, result, SMALL, now=at())
    table = pd.read_parquet(result)
    assert (report.n_rows, report.n_scored, report.n_refused) == (60, 60, 0)
    assert list(table) == ["loan", "score", "decision", "model_name", "model_version", "scored_at"]
    assert table["score"].tolist() == [predictor.model.scores([row])[0] for row in request_rows(60)]
    assert table["decision"].tolist() == (table["score"] >= 0.4).tolist()
    assert table["loan"].tolist() == [row["loan"] for row in request_rows(60)]
    assert set(table["model_version"]) == {"1"}
    assert set(table["scored_at"]) == {pd.Timestamp(MOMENT)}
    assert pq.read_schema(result).metadata[b"assay.model_digest"].decode() == predictor.model.digest
    assert sorted(p.name for p in result.parent.iterdir()) == [f".{result.name}.lock", result.name]


def test_a_csv_gives_the_same_scores_as_parquet(predictor, source, result, tmp_path):
    csv = tmp_path / "loans.csv"
    pd.read_parquet(source).to_csv(csv, index=False)
    score_partition(predictor, source, result, SMALL)
    score_partition(predictor, csv, tmp_path / "from_csv.parquet", SMALL)
    assert pd.read_parquet(tmp_path / "from_csv.parquet")["score"].equals(pd.read_parquet(result)["score"])


def test_the_same_plan_is_not_run_again(predictor, source, result):
    first = score_partition(predictor, source, result, SMALL, now=at())
    written = result.stat().st_mtime_ns
    again = score_partition(predictor, source, result, SMALL, now=at(datetime(2027, 1, 1, tzinfo=UTC)))
    assert again.is_cached
    assert not first.is_cached
    assert result.stat().st_mtime_ns == written


@pytest.mark.parametrize("changed", ["input", "model", "settings"])
def test_another_input_model_or_setting_is_scored_anew(predictor, source, result, tmp_path, changed):
    score_partition(predictor, source, result, SMALL, now=at())
    config = SMALL
    if changed == "input":
        pd.DataFrame(request_rows(59)).to_parquet(source)
    elif changed == "model":
        predictor = put_model(tmp_path / "models", "2", threshold=0.6).predictor("loans", "2")
    else:
        config = BatchConfig(chunk_rows=16, keep=("purpose",))
    report = score_partition(predictor, source, result, config)
    assert not report.is_cached
    assert pd.read_parquet(result)["model_version"].iloc[0] == predictor.version


def test_an_interrupted_run_leaves_no_result_and_goes_on_where_it_stopped(predictor, source, result, tmp_path):
    def stop_after_two(n):
        if n == 32:
            raise Stopped

    with pytest.raises(Stopped):
        score_partition(predictor, source, result, SMALL, now=at(), on_progress=stop_after_two, threads=1)
    assert not result.exists()
    report = score_partition(predictor, source, result, SMALL, now=at(datetime(2027, 1, 1, tzinfo=UTC)))
    assert report.n_chunks_resumed == 2
    whole = tmp_path / "whole.parquet"
    score_partition(predictor, source, whole, SMALL, now=at())
    assert pd.read_parquet(result).equals(pd.read_parquet(whole))  # the timestamp too: the run's begin


def test_a_torn_part_is_made_again(predictor, source, result, monkeypatch):
    def stop_after_two(n):
        if n == 32:
            raise Stopped

    with pytest.raises(Stopped):
        score_partition(predictor, source, result, SMALL, on_progress=stop_after_two, threads=1)
    (folder,) = result.parent.glob(".*.parts-*")
    (folder / "00000001.refused").unlink()  # the process died between a chunk's table and its mark
    (folder / "00000002.parquet.incoming").write_bytes(b"torn")
    assert score_partition(predictor, source, result, SMALL).n_chunks_resumed == 1
    assert len(pd.read_parquet(result)) == 60


def broken_rows() -> list[dict]:
    rows = request_rows(60)
    rows[5]["purpose"] = "boat"
    rows[40]["amount"] = -1.0
    rows[40]["months"] = 0
    return rows


def test_broken_rows_stop_the_run_and_are_numbered_in_the_file(predictor, source, result):
    pd.DataFrame(broken_rows()).to_parquet(source)
    with pytest.raises(ContractBroken, match="row 5, purpose: 'boat' is not one of car, house, other"):
        score_partition(predictor, source, result, SMALL)
    assert not result.exists()
    rows = broken_rows()
    rows[5]["purpose"] = "car"
    pd.DataFrame(rows).to_parquet(source)
    with pytest.raises(ContractBroken, match="row 40, amount"):
        score_partition(predictor, source, result, SMALL)


def test_broken_rows_can_be_set_aside_with_their_reasons(predictor, source, result):
    pd.DataFrame(broken_rows()).to_parquet(source)
    report = score_partition(predictor, source, result, BatchConfig(chunk_rows=16, on_fault="set_aside"))
    assert (report.n_scored, report.n_refused) == (58, 2)
    told = [json.loads(line) for line in Path(f"{result}.refused.jsonl").read_text().splitlines()]
    assert [one["row"] for one in told] == [5, 40]
    assert len(told[1]["faults"]) == 2
    assert told[0]["values"]["loan"] == "L005"
    good = [row for place, row in enumerate(broken_rows()) if place not in (5, 40)]
    assert pd.read_parquet(result)["score"].tolist() == predictor.model.scores(good).tolist()


def test_too_many_broken_rows_stop_the_run_all_the_same(predictor, source, result):
    pd.DataFrame(broken_rows()).to_parquet(source)
    config = BatchConfig(chunk_rows=16, on_fault="set_aside", max_refused_share=0.03)
    with pytest.raises(InvalidInput, match="2 of 60 rows"):
        score_partition(predictor, source, result, config)
    assert not result.exists()


def test_missing_and_unknown_columns_and_files_are_refused(predictor, source, result, tmp_path):
    frame = pd.DataFrame(request_rows(10))
    frame.drop(columns="amount").to_parquet(source)
    with pytest.raises(ContractBroken, match="amount"):
        score_partition(predictor, source, result, BatchConfig(on_fault="set_aside"))
    frame.assign(weather="fine").to_parquet(source)
    with pytest.raises(ContractBroken, match="weather"):
        score_partition(predictor, source, result)
    with pytest.raises(NotFound):
        score_partition(predictor, tmp_path / "none.parquet", result)
    frame.head(0).to_parquet(source)
    with pytest.raises(InvalidInput, match="no rows"):
        score_partition(predictor, source, result)
    frame.to_parquet(source)
    with pytest.raises(InvalidInput, match="weather"):
        score_partition(predictor, source, result, BatchConfig(keep=("weather",)))


@pytest.mark.slow
def test_words_in_codes_and_columns_of_words_give_the_same_bits(predictor, source, result, tmp_path):
    frame = pd.read_parquet(source)
    coded = frame.assign(**{name: frame[name].astype("category") for name in ("purpose", "town", "loan")})
    coded.to_parquet(tmp_path / "coded.parquet")
    frame.to_csv(tmp_path / "plain.csv", index=False)
    config = BatchConfig(chunk_rows=16, keep=("purpose", "town"))
    written = []
    for name in (source, tmp_path / "coded.parquet", tmp_path / "plain.csv"):
        score_partition(predictor, name, tmp_path / f"{name.name}.out", config, now=at())
        written.append(pd.read_parquet(tmp_path / f"{name.name}.out"))
    assert written[0]["score"].equals(written[1]["score"])
    assert written[0]["score"].equals(written[2]["score"])
    assert written[0]["town"].tolist() == written[1]["town"].tolist()


def test_columns_can_be_kept_beside_the_score(predictor, source, result):
    score_partition(predictor, source, result, BatchConfig(keep=("purpose", "sex")))
    assert list(pd.read_parquet(result))[:3] == ["loan", "purpose", "sex"]


@pytest.mark.slow
def test_features_do_not_depend_on_the_size_of_chunks(predictor, source, result, tmp_path):
    score_partition(predictor, source, result, BatchConfig(chunk_rows=7))
    score_partition(predictor, source, tmp_path / "one.parquet", BatchConfig(chunk_rows=1000))
    one, other = pd.read_parquet(result)["score"], pd.read_parquet(tmp_path / "one.parquet")["score"]
    assert np.array_equal(one.to_numpy().view(np.int64), other.to_numpy().view(np.int64))


def test_the_scoring_contract_is_of_the_columns_that_the_model_reads(predictor):
    assert set(batch.scoring_spec(predictor).columns) == set(predictor.model.features.columns)
