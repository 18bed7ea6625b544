import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from data.errors import ModelUnavailable, NotFound
from serving.local.adapter_folder import load_adapter
from serving.local.backbone import Backbone, BaseWeights, TokenRow
from tests.serving.local.small_bert import reference_states, small_deltas, small_weights, write_adapter, write_base

DELTAS = {"first": small_deltas(1, rank=4), "second": small_deltas(2, rank=2, modules=("output.dense",))}
WEIGHTS = small_weights()
ROWS = [
    TokenRow("first", (5, 1, 2), (0, 0, 1)),
    TokenRow("second", (1, 2, 3, 4), (0, 0, 0, 1)),
    TokenRow("first", (7,) * 12, (0,) * 12),
    TokenRow("first", (5, 1, 2), (0, 0, 1), exit_layer=1),
]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = write_base(tmp_path_factory.mktemp("base"), WEIGHTS)
    return BaseWeights(folder, hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(), {})


@pytest.fixture(scope="module", params=[False, True], ids=["apart", "mixed"])
def backbone(base, tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("adapters")
    adapters = [load_adapter(write_adapter(folder / name, deltas)) for name, deltas in DELTAS.items()]
    opened = Backbone(adapters, cache=folder, precision="fp32", threads=1, base=base, mixes=request.param)
    yield opened
    opened.close()


def test_each_row_gets_the_states_of_its_own_adapter_and_depth(backbone):
    for states, row in zip(backbone.states(ROWS), ROWS, strict=True):
        expected = reference_states(WEIGHTS, row.ids, row.types, DELTAS[row.adapter], row.exit_layer or 2)
        np.testing.assert_allclose(states, expected, atol=1e-5)


def test_many_callers_get_what_they_would_get_alone(backbone):
    alone = [backbone.states([row])[0] for row in ROWS]
    with ThreadPoolExecutor(8) as pool:
        for n, found in enumerate(pool.map(lambda i: backbone.states([ROWS[i % 4]])[0], range(40))):
            np.testing.assert_allclose(found, alone[n % 4], atol=1e-5)


def test_no_rows_have_no_states(backbone):
    assert backbone.states([]) == []


def test_an_unknown_adapter_is_named_with_those_there_are(backbone):
    with pytest.raises(NotFound, match="'third'; there are: first, second"):
        backbone.states([TokenRow("third", (1,), (0,))])


def test_other_weights_than_the_pinned_ones_are_refused(base, tmp_path):
    adapters = [load_adapter(write_adapter(tmp_path / "first", DELTAS["first"]))]
    other = Backbone(adapters, cache=tmp_path, base=BaseWeights(base.folder, "0" * 64, {}))
    with pytest.raises(ModelUnavailable, match="sha256"):
        other.states(ROWS[:1])
    other.close()
