"""How good a detector is, as curves and bars."""

import numpy as np

from kvision.visualize.boxes import class_colors
from kvision.visualize.figure import BLUE, GREEN, GRID, INK, MUTED, ORANGE, RED, new_figure, shorten

_MOST_CURVES = 10
_DASHES = ("-", "--", ":", "-.")


def precision_recall(curves, names):
    """Precision against recall at an IoU of 0.5 and of 0.75, each class and their mean.

    Args:
        curves: what `kv.evaluation.evaluate_detector` gives under that name.
        names: names in label order.

    Returns:
        A matplotlib `Figure`. Above 10 classes the single ones are grey and not named.

    Raises:
        ValueError: where no class has a curve, or names do not fit.

    Example:

    >>> curve = [[1.0, 0.5, 0.0]]
    >>> curves = {"recall": [0.0, 0.5, 1.0], "precision_50": curve, "precision_75": curve}
    >>> figure = precision_recall(curves, ["cat"])
    """
    if len(names) != len(curves["precision_50"]):
        raise ValueError(
            f"`names` must be one for each of {len(curves['precision_50'])} curves. "
            f"Received: {len(names)}"
        )
    known = [k for k, curve in enumerate(curves["precision_50"]) if curve is not None]
    if not known:
        raise ValueError("`curves` must hold a class with objects. Received none.")
    figure, axes = new_figure(1, 2, size=(9.6, 4.2), sharey=True)
    colors = class_colors(len(names)) / 255 * 0.85
    for axis, key, level in zip(
        axes[0], ("precision_50", "precision_75"), (0.5, 0.75), strict=True
    ):
        table = np.array([curves[key][k] for k in known])
        for place, (k, curve) in enumerate(zip(known, table, strict=True)):
            style = {"color": MUTED, "linewidth": 0.8, "alpha": 0.4}
            if len(known) <= _MOST_CURVES:
                label = f"{shorten(str(names[k]))}  {curve.mean():.1%}"
                style = {"color": colors[k], "linestyle": _DASHES[place % 4], "label": label}
            axis.plot(curves["recall"], curve, **{"linewidth": 1.6, **style})
        if len(known) > 1:
            label = f"mean  {table.mean():.1%}"
            axis.plot(curves["recall"], table.mean(0), color=INK, linewidth=2.4, label=label)
        axis.set_title(f"IoU {level}: mean AP {table.mean():.1%}", fontsize=11, color=INK)
        axis.set_xlabel("recall", color=MUTED)
        axis.set_xlim(0, 1.01)
        axis.set_ylim(0, 1.03)
        axis.grid(color=GRID)
        axis.set_axisbelow(True)
        axis.legend(
            fontsize=8, frameon=False, labelcolor=INK, loc="upper left", bbox_to_anchor=(1, 1)
        )
    axes[0, 0].set_ylabel("precision", color=MUTED)
    return figure


def per_class_ap(per_class, title=None):
    """Bars of each class's AP over AP50, best first, with the number of its objects.

    Args:
        per_class: what `kv.evaluation.evaluate_detector` gives under that name: a list of dicts of
            `name`, `objects`, `AP`, `AP50` and, with masks, `mask_AP`.
        title: by default the means.

    Returns:
        A matplotlib `Figure`. A diamond is the AP of masks.

    Raises:
        ValueError: where there are no classes.

    Example:

    >>> rows = [{"name": "cat", "objects": 7, "AP": 0.5, "AP50": 0.8}]
    >>> figure = per_class_ap(rows)
    """
    if not per_class:
        raise ValueError("`per_class` must hold at least one class. Received none.")
    ordered = sorted(per_class, key=lambda row: -1 if row["AP"] is None else row["AP"])
    means = {key: _mean([row[key] for row in ordered]) for key in ("AP", "AP50")}
    font = 9 if len(ordered) <= 40 else 6
    figure, axes = new_figure(size=(6.8, 1.5 + (0.26 if font == 9 else 0.13) * len(ordered)))
    axis, places = axes[0, 0], np.arange(len(ordered))
    fifty, strict = ([row[key] or 0.0 for row in ordered] for key in ("AP50", "AP"))
    axis.barh(places, fifty, color="#b9d0ea", height=0.7, label="AP50 (IoU 0.5)")
    axis.barh(places, strict, color=BLUE, height=0.4, label="AP (IoU 0.5 to 0.95)")
    _write_scores(axis, ordered, font - 1)
    ticks = [f"{shorten(str(row['name']))} ({row['objects']})" for row in ordered]
    axis.set_yticks(places, ticks, fontsize=font)
    axis.tick_params(axis="y", length=0)
    _percent_axis(axis, 1.25, "average precision")
    axis.set_ylim(-0.7, len(ordered) - 0.3)
    style = {"fontsize": 8, "frameon": False, "labelcolor": INK}
    figure.legend(loc="outside lower center", ncols=3, **style)
    default = "no class occurs"
    if means["AP"] is not None:
        default = f"mean AP {means['AP']:.1%}, AP50 {means['AP50']:.1%}"
    axis.set_title(title or default, fontsize=11, color=INK)
    return figure


def detection_errors(errors):
    """What became of the best detections, and what it would bring to repair each kind of error.

    Args:
        errors: what `kv.evaluation.evaluate_detector` gives under that name.

    Returns:
        A matplotlib `Figure`: on the left shares of as many detections as there are objects, and
        the share of objects that were missed (hatched); on the right the gain in VOC's mean AP.

    Raises:
        ValueError: where there are no objects.

    Example:

    >>> row = {"count": 1, "share": 0.5, "gain": 0.1}
    >>> figure = detection_errors({"correct": {**row, "gain": None}, "missed": row})
    """
    if errors["missed"]["share"] is None:
        raise ValueError("`errors` must be of a data set with objects. Received none.")
    kinds = list(errors)[::-1]
    figure, axes = new_figure(1, 2, size=(9.2, 0.9 + 0.34 * len(kinds)), sharey=True)
    left, right = axes[0]
    shares = [errors[kind]["share"] or 0.0 for kind in kinds]
    colors = [GREEN if kind == "correct" else RED for kind in kinds]
    bars = left.barh(range(len(kinds)), shares, color=colors, height=0.65)
    missed = bars[kinds.index("missed")]
    missed.set(facecolor="white", edgecolor=ORANGE, hatch="////")
    gains = [errors[kind]["gain"] or 0.0 for kind in kinds]
    end = max(0.1, 1.25 * max(gains))
    right.barh(range(len(kinds)), gains, color=BLUE, height=0.65)
    for place, kind in enumerate(kinds):
        row = errors[kind]
        text = "none" if row["share"] is None else f"{row['share']:.1%} ({row['count']})"
        left.text(shares[place] + 0.015, place, text, va="center", fontsize=8, color=INK)
        if row["gain"] is not None:
            text = f"{100 * row['gain']:+.1f}"
            right.text(
                max(gains[place], 0) + 0.02 * end, place, text, va="center", fontsize=8, color=INK
            )
    left.set_yticks(range(len(kinds)), kinds)
    for axis in (left, right):
        axis.tick_params(axis="y", length=0)
    _percent_axis(left, 1.2, "share of the best detections; of the objects for missed")
    right.set_xlim(min(0.0, 1.25 * min(gains)), end)
    right.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    right.set_xlabel("points of mean AP at IoU 0.5 if repaired", color=MUTED)
    left.set_title("where detections go", fontsize=11, color=INK)
    right.set_title("what errors cost", fontsize=11, color=INK)
    return figure


def _write_scores(axis, rows, fontsize):
    """The scores of classes beside their bars, and a diamond for those of masks."""
    masked = [(row["mask_AP"], place) for place, row in enumerate(rows) if row.get("mask_AP")]
    if masked:
        style = {"marker": "D", "s": 22, "color": ORANGE, "edgecolor": "white", "linewidth": 0.6}
        axis.scatter(*zip(*masked, strict=True), **style, zorder=3, label="AP of masks")
    for place, row in enumerate(rows):
        known = row["AP"] is not None
        text = f"{row['AP']:.1%} / {row['AP50']:.1%}" if known else "does not occur"
        end = max(row["AP50"] or 0.0, row.get("mask_AP") or 0.0)
        color = INK if known else MUTED
        axis.text(end + 0.02, place, text, va="center", fontsize=fontsize, color=color)


def _percent_axis(axis, end, label):
    axis.set_xlim(0, end)
    axis.set_xticks(np.linspace(0, 1, 6), [f"{value:.0%}" for value in np.linspace(0, 1, 6)])
    axis.set_xlabel(label, color=MUTED)


def _mean(values):
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
