from types import MappingProxyType

import numpy as np
import onnxruntime
import pytest

from serving.local.adapted_graph import build_adapted, module_names
from tests.serving.local.small_bert import DIM, SHAPE, SIZES, reference_states, small_deltas, small_weights

IDS = [[5, 1, 2], [1, 2, 3, 4, 5, 6, 7], [19] * 12]
TYPES = [[0, 0, 1], [0, 0, 0, 1, 1, 1, 1], [0] * 12]
FIRST, SECOND = small_deltas(1, rank=3), small_deltas(2, rank=1, modules=("attention.self.query", "output.dense"))
NONE = {}


def run(precision, ids, types, adapters, *, weights=None, outliers=MappingProxyType({}), exit_layer=SHAPE.n_layers):
    """The states of rows in one batch; `adapters` is one for all or one for each."""
    weights = weights or small_weights()
    session = onnxruntime.InferenceSession(
        build_adapted(weights, SHAPE, precision, outliers).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    longest = max(map(len, ids))
    embedded, mask = np.zeros((len(ids), longest, DIM), np.float32), np.zeros((len(ids), longest), np.int32)
    for i, row in enumerate(ids):
        embedded[i, : len(row)] = reference_states(weights, row, types[i], n_layers=0)
        embedded[i, len(row) :] = 30  # what lies there must not matter
        mask[i, : len(row)] = 1
    feeds = {"embedded": embedded, "mask": mask, "exit_layer": np.array(exit_layer, np.int64)}
    for module in module_names(SHAPE.n_layers):
        n_out, n_in = SIZES[module.split(".", 3)[3]]
        down, up = np.zeros((len(adapters), n_in, 3), np.float32), np.zeros((len(adapters), 3, n_out), np.float32)
        for i, deltas in enumerate(adapters):
            if module in deltas:
                rank = deltas[module][0].shape[1]
                down[i, :, :rank], up[i, :rank] = deltas[module]
        feeds |= {f"{module}.down": down, f"{module}.up": up}
    out = session.run(["states"], feeds)[0]
    return [out[i, : len(row)] for i, row in enumerate(ids)]


@pytest.mark.parametrize("adapters", [[FIRST], [NONE], [FIRST, SECOND, NONE]])
def test_each_row_is_read_by_its_own_adapter_as_written_in_the_papers(adapters):
    found = run("fp32", IDS, TYPES, adapters)
    of_row = adapters * 3 if len(adapters) == 1 else adapters
    for states, ids, types, deltas in zip(found, IDS, TYPES, of_row, strict=True):
        np.testing.assert_allclose(states, reference_states(small_weights(), ids, types, deltas), atol=1e-5)


@pytest.mark.parametrize("n_layers", [0, 1, 2])
def test_states_come_from_the_layer_asked_for(n_layers):
    [states] = run("fp32", IDS[1:2], TYPES[1:2], [FIRST], exit_layer=n_layers)
    expected = reference_states(small_weights(), IDS[1], TYPES[1], FIRST, n_layers)
    np.testing.assert_allclose(states, expected, atol=1e-5)


def cosine(a, b):
    return float(np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_int8_stays_close_to_fp32():
    for states, ids, types in zip(run("int8", IDS, TYPES, [FIRST]), IDS, TYPES, strict=True):
        assert cosine(states, reference_states(small_weights(), ids, types, FIRST)) > 0.995


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_comes_of_a_row_does_not_depend_on_its_neighbours(precision):
    adapters = [FIRST, SECOND, FIRST]
    together = run(precision, IDS, TYPES, adapters)
    for i, states in enumerate(together):
        [alone] = run(precision, IDS[i : i + 1], TYPES[i : i + 1], adapters[i : i + 1])
        np.testing.assert_allclose(states, alone, atol=1e-5)


def test_dividing_a_large_channel_changes_no_more_than_rounding():
    quieted, plain = (run("int8", IDS, TYPES, [FIRST], outliers=outliers) for outliers in ({5: 4.0}, {}))
    assert all(1 > cosine(a, b) > 0.99 for a, b in zip(quieted, plain, strict=True))
    for a, b in zip(run("fp32", IDS, TYPES, [FIRST], outliers={5: 4.0}), run("fp32", IDS, TYPES, [FIRST]), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_missing_weight_is_named():
    weights = small_weights()
    del weights["encoder.layer.1.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.1\.output\.dense\.bias"):
        build_adapted(weights, SHAPE)
