import json

import numpy as np
import pytest

from evals.simulation import made_up, main, planted, real, resampled, swapped
from tests.evals.gated_rows import row


@pytest.fixture
def world():
    return made_up(np.random.default_rng(0), n_documents=120)


def test_swapped_arms_differ_as_the_noise_does_and_nobody_is_better(world):
    rng, total = np.random.default_rng(1), []
    for _ in range(300):
        before, after = swapped(world, rng)
        total.append(np.mean([after[s.id]["graded"] - before[s.id]["graded"] for s in world.samples]))
        assert all(
            {before[i]["graded"], after[i]["graded"]} == {world.values[i]["graded"], world.noise[i]["graded"]}
            for i in before
        )
    assert abs(np.mean(total)) < 3 * np.std(total) / 300**0.5
    assert np.std(total) > 0


@pytest.mark.parametrize("metric", ["right", "graded", "rarely wrong"])
def test_the_planted_loss_is_five_points_of_one_metric(world, metric):
    rng, lost = np.random.default_rng(2), []
    for _ in range(200):
        before, after = planted(world, metric, rng)
        lost.append(np.mean([before[i][metric] - after[i][metric] for i in before]))
        assert all(before[i][m] == after[i][m] for i in before for m in before[i] if m != metric)
    assert np.mean(lost) == pytest.approx(0.05, abs=0.005)


def test_documents_are_drawn_whole(world):
    drawn = resampled(world, 100, np.random.default_rng(3))
    assert len({s.metadata["cluster"] for s in drawn.samples}) == 100
    assert all(s.id in drawn.values for s in drawn.samples)


def test_it_runs_from_the_command_line_on_real_rows_too(tmp_path, capsys):
    rng, paths = np.random.default_rng(4), []
    for name in ("mine", "theirs"):
        rows = [
            row(f"s{i}", {"citation_recall": float(rng.random() < 0.8)}, cluster=f"d{i // 2}").model_dump(mode="json")
            | {"question": "?"}
            for i in range(30)
        ]
        paths.append(tmp_path / f"{name}.json")
        paths[-1].write_text(json.dumps({"rows": rows}))
    assert len(real(*paths, ["citation_recall"], 0.2).samples) == 30
    main(
        [
            "--runs",
            "4",
            "--rows",
            str(paths[0]),
            "--other",
            str(paths[1]),
            "--metrics",
            "citation_recall",
            "--documents",
            "40",
        ]
    )
    found = json.loads(capsys.readouterr().out)
    assert [a["documents"] for a in found["a_a"]] == [15, 40]
    assert [p["documents"] for p in found["planted"]] == [15, 40]
    shares = found["a_a"][0]
    assert shares["pass"] + shares["fail"] + shares["inconclusive"] == pytest.approx(1)


@pytest.mark.slow
def test_error_rates_are_as_promised(capsys):
    """A part of what docs/gate.md reports: 60 A/A runs and 30 planted losses a metric."""
    main(["--runs", "60", "--seed", "5"])
    found = json.loads(capsys.readouterr().out)
    assert found["a_a"][0]["fail"] <= 0.05
    for one in found["planted"]:
        assert (
            one["caught"] >= one["promised"] - 3 * (one["promised"] * (1 - one["promised"]) / one["runs"]) ** 0.5 - 0.05
        )
