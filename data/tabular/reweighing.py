"""Weights of training rows that make a protected attribute and the label independent. Knows no model.

Kamiran and Calders, "Data preprocessing techniques for classification without discrimination" (2012), section 4.2; the same
weights as aif360's `Reweighing`.
"""

import numpy as np

from data.errors import InvalidInput


def reweighing_weights(labels: np.ndarray, group: np.ndarray) -> np.ndarray:
    """float64 [n], of mean 1: P(group) P(label) / P(group, label). `group` holds one value per row, of any number of groups.

    Raises: InvalidInput for lengths that do not fit.
    """
    if len(labels) != len(group) or not len(labels):
        raise InvalidInput(f"{len(labels)} labels and {len(group)} groups; give one of each per row.", field="group")
    of_group = np.unique(group, return_inverse=True)[1]
    of_label = np.unique(labels, return_inverse=True)[1]
    together = np.zeros((of_group.max() + 1, of_label.max() + 1))
    np.add.at(together, (of_group, of_label), 1.0)
    alone = np.outer(together.sum(axis=1), together.sum(axis=0)) / len(labels)
    return (alone / np.maximum(together, 1.0))[of_group, of_label]
