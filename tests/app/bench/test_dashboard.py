import random
from dataclasses import replace

import pytest

from app.bench.dashboard import Took, told, views
from app.bench.dashboard_history import Size, fill
from app.dashboard import build_dashboard
from app.settings import Settings
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import fake_product
from tests.databases import put_schema


@pytest.mark.slow
def test_the_history_that_is_measured_is_one_that_every_view_can_show(tmp_path):
    size = Size(60, 40, part=0.01)
    put_schema(tmp_path / "keys.db")
    fill(tmp_path / "keys.db", size)
    product = fake_product(tmp_path)
    dashboard = build_dashboard(Settings(home=tmp_path), product.keys._database)
    with local_client(replace(product, dashboard=dashboard)) as client:
        for name, make in views(size, random.Random(0)).items():
            page = client.get(make())
            assert page.status_code == 200, (name, page.text[-800:])
            assert "yet</h2>" not in page.text, f"{name} has nothing to show"
        assert len(client.get("/dashboard/runs/run_000000000030?format=json&table=samples").json()["rows"]) == 40
    product.keys._database.close()


def test_figures_name_the_views_that_are_too_slow():
    shown = told({"quick": Took((10.0,) * 20, 4.0), "slow": Took((10.0,) * 10 + (900.0,) * 10, 90.0)})
    assert shown.endswith("p95 of 500 ms or more: slow")
    assert shown.index("| slow |") < shown.index("| quick |")
