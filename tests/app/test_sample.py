from contextlib import closing, suppress

import pytest

from app.sample import ingest_sample, is_wanted
from app.server import SAMPLES
from data.records import Principal
from tests.app.product import open_product


@pytest.mark.slow
def test_an_interrupted_sample_ingest_goes_on_and_a_complete_one_is_left_alone(tmp_path, monkeypatch):
    with closing(open_product(tmp_path)) as assay:
        assert is_wanted(assay)
        whole = assay.ingest_found

        def interrupted(found, placement):
            yield next(iter(whole(found, placement)))
            raise KeyboardInterrupt

        monkeypatch.setattr(assay, "ingest_found", interrupted)
        with suppress(KeyboardInterrupt):
            ingest_sample(assay, SAMPLES)
        assert assay.catalog.feed.n_chunks(), "something was stored before the interruption"
        assert is_wanted(assay)
        monkeypatch.undo()
        ingest_sample(assay, SAMPLES)
        assert not is_wanted(assay)
        assert assay.collections(Principal(groups=frozenset({"people-ops"}))) == {"handbook": 28}
        for document in assay.documents(Principal(groups=frozenset({"people-ops"})))[0]:
            assay.delete(document.id, Principal(groups=frozenset({"people-ops"})))
        assert not is_wanted(assay), "who deleted the sample does not want it back"
