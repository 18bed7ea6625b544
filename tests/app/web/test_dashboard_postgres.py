"""The dashboard's reads on PostgreSQL: the same rows as on SQLite."""

from datetime import UTC, datetime

import pytest

from app.api.service import Product
from app.dashboard import build_dashboard
from app.keys import KeyStore
from app.settings import Settings
from data.database import Database
from tests.app.api.conftest import local_client
from tests.app.api.fake_assay import FakeAssay
from tests.app.web.test_dashboard import RUN, VIEWS, rows_of
from tests.app.web.watched import fill

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


def test_every_view_shows_the_same_on_postgres(watched, tmp_path, postgres_url):
    database = Database(postgres_url)
    database.migrate()
    fill(database, tmp_path / "var", datetime.now(UTC))
    dashboard = build_dashboard(Settings(home=tmp_path), database)
    with (
        local_client(Product(assay=FakeAssay(), keys=KeyStore(database), dashboard=dashboard)) as there,
        local_client(watched) as here,
    ):
        for view, tables in VIEWS.items():
            assert there.get(f"/dashboard{view}").status_code == 200, view
            for table in tables:
                assert len(rows_of(there, view, table)) == len(rows_of(here, view, table)), (view, table)
        means = [[row["mean"] for row in rows_of(client, f"/runs/{RUN}", "metrics")] for client in (here, there)]
        assert means[0] == pytest.approx(means[1])
    database.close()
