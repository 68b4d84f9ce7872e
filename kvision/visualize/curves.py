"""Learning curves."""

import csv
import math

from kvision.visualize.figure import BLUE, GREEN, GRID, INK, MUTED, ORANGE, RED, new_figure

_MOST_ACROSS = 4  # panels in a row: of more, nobody can read the words


def learning_curves(history, metrics=None):
    """Training and validation curves, one panel a metric, the best epoch marked.

    Args:
        history: the path of a `history.csv`, a `keras.callbacks.History`, or a dict of lists.
        metrics: names to draw; by default all that have a validation curve, `loss` first.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where the history holds no epochs or not the metrics asked for.

    Example:

    >>> figure = learning_curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.4]})
    """
    columns = _columns(history)
    epochs = columns.pop("epoch", None)
    if not columns or not len(next(iter(columns.values()))):
        raise ValueError(f"The history must hold at least one epoch. Received: {history}")
    if metrics is None:
        plain = [
            name for name in columns if not name.startswith("val_") and name != "learning_rate"
        ]
        metrics = [name for name in plain if f"val_{name}" in columns] or plain
        metrics = sorted(metrics, key=lambda name: name != "loss")
    missing = [name for name in metrics if name not in columns]
    if missing:
        raise ValueError(f"The history has {sorted(columns)}. Received: metrics={missing}")
    across = min(len(metrics), _MOST_ACROSS)
    down = -(-len(metrics) // across)
    figure, axes = new_figure(down, across, size=(4.6 * across, 3.4 * down))
    for axis, name in zip(axes.flat, metrics, strict=False):
        _panel(axis, name, columns, epochs)
    for axis in axes.flat[len(metrics) :]:
        axis.remove()
    return figure


def error_curves(histories, metric="accuracy", highest=None):
    """Training and test error of several networks, one panel a family: Figure 6 of ResNet's paper.

    Use it to see what a change does to networks of several sizes: beside the test error it shows
    whether they can be trained at all. Training error is thin and dashed, test (validation) error
    bold; all panels share the axis, and a label has one colour in all of them.

    Args:
        histories: a dict of panels by title, each a dict of histories by label, e.g.
            `{"plain": {"20 layers": history, "56 layers": other}}`. A history is the path of a
            `history.csv`, a `keras.callbacks.History`, or a dict of lists.
        metric: the share of right answers, 0..1, whose complement is the error.
        highest: the end of the error axis in percent. Defaults to what the curves need.

    Returns:
        A matplotlib `Figure`.

    Raises:
        ValueError: where there are no histories, or one does not hold the metric.

    Reference:
        He et al., Deep residual learning for image recognition, 2015, Figure 6.

    Example:

    >>> history = {"accuracy": [0.5, 0.9], "val_accuracy": [0.4, 0.8]}
    >>> figure = error_curves({"plain": {"20 layers": history}})
    """
    if not histories or not all(histories.values()):
        raise ValueError(
            "`histories` must be a dict of panels, each a dict with at least one history. "
            f"Received: {histories}"
        )
    labels = list(dict.fromkeys(label for panel in histories.values() for label in panel))
    colors = [BLUE, ORANGE, GREEN, RED, INK, MUTED]
    size = (0.6 + 4.2 * len(histories), 3.6)
    figure, axes = new_figure(1, len(histories), size=size, sharey=True)
    for axis, (title, panel) in zip(axes[0], histories.items(), strict=True):
        for label, history in panel.items():
            color = colors[labels.index(label) % len(colors)]
            _draw_errors(axis, history, metric, label, color)
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_xlabel("epoch", color=MUTED)
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(color=GRID)
        axis.set_axisbelow(True)
        axis.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("error (%)", color=MUTED)
    axes[0, 0].set_ylim(0, highest)
    return figure


def _draw_errors(axis, history, metric, label, color):
    columns = _columns(history)
    if not columns.get(metric):
        raise ValueError(
            f"The history of {label!r} must hold {metric!r} for at least one epoch. "
            f"Received: {sorted(columns)}"
        )
    lines = {metric: ("training", "--", 1.0), f"val_{metric}": ("test", "-", 2.2)}
    for name, (kind, style, width) in lines.items():
        if name in columns:
            errors = [100 * (1 - value) for value in columns[name]]
            epochs = _steps(errors, columns.get("epoch"))
            look = {"color": color, "linestyle": style, "linewidth": width}
            axis.plot(epochs, errors, label=f"{label}, {kind}", **look)


def _panel(axis, name, columns, epochs):
    title = name.replace("_", " ")
    axis.plot(_steps(columns[name], epochs), columns[name], color=BLUE, label="training")
    validation = columns.get(f"val_{name}")
    if validation:
        axis.plot(_steps(validation, epochs), validation, color=ORANGE, label="validation")
        best = (min if "loss" in name or "error" in name else max)(validation)
        where = _steps(validation, epochs)[validation.index(best)]
        axis.plot([where], [best], "o", color=ORANGE, markersize=6, markeredgecolor="white")
        axis.set_title(
            f"{title}: best validation {best:.4g}, epoch {where}", fontsize=10, color=INK
        )
    else:
        axis.set_title(title, fontsize=10, color=INK)
    axis.set_xlabel("epoch", color=MUTED)
    axis.set_ylabel(title, color=MUTED)
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.grid(color=GRID)
    axis.set_axisbelow(True)
    axis.legend(frameon=False, fontsize=9)


def _steps(values, epochs):
    """The numbers of the epochs, from 1."""
    return [epoch + 1 for epoch in epochs] if epochs else list(range(1, len(values) + 1))


def _columns(history):
    if hasattr(history, "history"):
        return {name: list(values) for name, values in history.history.items()}
    if isinstance(history, dict):
        return {name: list(values) for name, values in history.items()}
    with open(history, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [_number(row[name]) for row in rows] for name in (rows[0] if rows else {})}
    if "epoch" in columns:
        columns["epoch"] = [int(epoch) for epoch in columns["epoch"]]
    return columns


def _number(text):
    return math.nan if text == "NA" else float(text)  # as Keras's CSVLogger writes what is missing
