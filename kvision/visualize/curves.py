"""Learning curves."""

import csv

from kvision.visualize.figure import BLUE, GRID, INK, MUTED, ORANGE, new_figure


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
    figure, axes = new_figure(1, len(metrics), size=(4.6 * len(metrics), 3.4))
    for axis, name in zip(axes[0], metrics, strict=True):
        _panel(axis, name, columns, epochs)
    return figure


def _panel(axis, name, columns, epochs):
    def steps(values):
        return [e + 1 for e in epochs] if epochs else list(range(1, len(values) + 1))

    title = name.replace("_", " ")
    axis.plot(steps(columns[name]), columns[name], color=BLUE, label="training")
    validation = columns.get(f"val_{name}")
    if validation:
        axis.plot(steps(validation), validation, color=ORANGE, label="validation")
        best = (min if "loss" in name or "error" in name else max)(validation)
        where = steps(validation)[validation.index(best)]
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


def _columns(history):
    if hasattr(history, "history"):
        return {name: list(values) for name, values in history.history.items()}
    if isinstance(history, dict):
        return {name: list(values) for name, values in history.items()}
    with open(history, newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {})}
    if "epoch" in columns:
        columns["epoch"] = [int(epoch) for epoch in columns["epoch"]]
    return columns
