import json

import pytest

from serving.config import HeadsConfig
from serving.local.adapter_folder import load_adapter
from serving.local.shipped_heads import SHIPPED, ShippedHeads
from tests.serving.local.small_bert import small_deltas, write_adapter


def test_a_head_without_an_adapter_is_none_and_nothing_is_loaded(tmp_path):
    heads = ShippedHeads(HeadsConfig(folder=str(tmp_path / "none")), cache=tmp_path)
    assert (heads.reader, heads.grounding, heads.toxicity, heads.injection) == (None,) * 4
    assert "backbone" not in heads.__dict__
    heads.close()


def test_a_folder_of_the_settings_takes_the_place_of_the_shipped_ones(tmp_path):
    write_adapter(tmp_path / "toxicity", small_deltas(1, 2), threshold=0.8)
    heads = ShippedHeads(HeadsConfig(folder=str(tmp_path)), cache=tmp_path)
    assert heads.names == ("toxicity",)
    assert heads.toxicity.threshold == 0.8
    assert heads.injection is None
    heads.close()


@pytest.mark.parametrize(
    "folder", sorted(path.parent for path in SHIPPED.glob("*/head_config.json")), ids=lambda f: f.name
)
def test_what_ships_is_readable_and_has_a_card_that_names_its_data(folder):
    adapter = load_adapter(folder)
    assert len(adapter.deltas) == 36
    card = (folder / "README.md").read_text("utf-8")
    assert "license:" in card
    assert "## Data" in card
    assert json.loads((folder / "manifest.json").read_text())["name"] == folder.name
