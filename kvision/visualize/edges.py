"""How good edges are, at every threshold."""

import numpy as np

from kvision.visualize.figure import BLUE, GRID, INK, MUTED, ORANGE, new_figure


def edge_curve(scores, title=None):
    """Draws precision against recall of edges, with the best threshold, over lines of equal F1.

    Args:
        scores: the dict that `kv.evaluation.evaluate_edges` gives.
        title: by default ODS, OIS and average precision.

    Returns:
        A matplotlib `Figure`. Thresholds above which there are no edges are left out.

    Raises:
        ValueError: where no threshold leaves an edge that is right.

    Example:

    >>> truth = np.eye(32)
    >>> figure = edge_curve(kv.evaluation.edge_scores([0.8 * truth], [truth]))
    """
    precision, recall = (np.asarray(scores[key]) for key in ("precision", "recall"))
    known = recall > 0
    if not known.any():
        raise ValueError("`scores` must be of edges of which one is right. Received none.")
    figure, axes = new_figure(size=(5.4, 5.0))
    axis = axes[0, 0]
    _equal_f1(axis)
    axis.plot(recall[known], precision[known], color=BLUE, linewidth=2, marker=".", markersize=4)
    best = scores["ods_recall"], scores["ods_precision"]
    label = f"best threshold {scores['ods_threshold']:.2f}: F1 {scores['ods']:.1%}"
    axis.plot(*best, "o", color=ORANGE, markersize=8, markeredgecolor="white", label=label)
    for side, setting in (("recall", axis.set_xlabel), ("precision", axis.set_ylabel)):
        setting(side, color=MUTED)
    axis.set_xlim(0, 1)
    axis.set_ylim(0, 1)
    axis.set_aspect("equal")
    axis.legend(loc="lower left", fontsize=8, frameon=False, labelcolor=INK)
    default = " ".join(
        f"{name} {scores[key]:.1%} "
        for name, key in (("ODS", "ods"), ("OIS", "ois"), ("AP", "average_precision"))
    )
    axis.set_title(title or default.strip(), fontsize=11, color=INK)
    return figure


def _equal_f1(axis):
    """Thin lines on which F1 is the same, each named where it leaves the picture."""
    for f1 in np.arange(1, 10) / 10:
        recall = np.linspace(f1 / (2 - f1), 1, 100)
        axis.plot(recall, f1 * recall / (2 * recall - f1), color=GRID, linewidth=1, zorder=0)
        style = {"fontsize": 7, "color": MUTED, "va": "center", "clip_on": False}
        axis.text(1.01, f1 / (2 - f1), f"F1 {f1:.1f}", **style)
