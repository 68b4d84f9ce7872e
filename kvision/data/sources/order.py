"""The order of the examples of a folder or an array: random, and fair in every prefix."""

import numpy as np


def stratified_order(labels, seed=0):
    """A permutation in which every prefix holds the classes in (nearly) their proportions.

    The j-th of a class's n examples is put at (j + 1/2) / n of the way, and ties are broken at
    random. So `"train[:80%]"` of a folder holds 80 % of every class, to within one example.

    Args:
        labels: integer array of shape (n,).
        seed: the permutation depends on it and on the labels alone.

    Returns:
        int64 array of shape (n,).
    """
    labels = np.asarray(labels)
    random = np.random.default_rng(seed)
    order = random.permutation(len(labels))
    place = np.empty(len(labels), dtype="float64")
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place[order], kind="stable")].astype("int64")
