"""Several boosters as one whose margin is the mean of theirs: one file, one call to score, SHAP as ever. Knows no data.

Breiman, "Bagging predictors" (1996): seeds differ in the rows and columns that each tree sees, and their mean varies less.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xgboost

from data.errors import InvalidInput

LEAF = -1


def merged(boosters: Sequence[xgboost.Booster]) -> xgboost.Booster:
    """Trees one after another, leaves divided by the number of boosters. Raises: InvalidInput where they start from unequal scores."""
    if len(boosters) == 1:
        return boosters[0]
    models = [json.loads(booster.save_raw(raw_format="json")) for booster in boosters]
    starts = {model["learner"]["learner_model_param"]["base_score"] for model in models}
    if len(starts) != 1:
        raise InvalidInput(f"Boosters that start from {', '.join(sorted(starts))} cannot be merged.", field="bags")
    whole, trees, ends = models[0], [], [0]
    for model in models:
        forest = model["learner"]["gradient_booster"]["model"]
        for first, last in zip(forest["iteration_indptr"], forest["iteration_indptr"][1:], strict=False):
            ends.append(ends[-1] + last - first)
        trees += [_shrunk(tree, len(boosters)) for tree in forest["trees"]]
    forest = whole["learner"]["gradient_booster"]["model"]
    for place, tree in enumerate(trees):
        tree["id"] = place
    forest["trees"], forest["iteration_indptr"], forest["tree_info"] = trees, ends, [0] * len(trees)
    forest["gbtree_model_param"]["num_trees"] = str(len(trees))
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(whole).encode()))
    return booster


def _shrunk(tree: dict[str, Any], by: int) -> dict[str, Any]:
    """A leaf's value stands in `split_conditions`; `base_weights` says it again, for SHAP."""
    is_leaf = np.array(tree["left_children"]) == LEAF
    values = np.array(tree["split_conditions"], dtype=np.float32)
    values[is_leaf] /= np.float32(by)
    weights = np.array(tree["base_weights"], dtype=np.float32) / np.float32(by)
    return tree | {"split_conditions": values.tolist(), "base_weights": weights.tolist()}
