"""How far a file may be from its model, and whether it is within that."""

import keras

from kvision.export.files.live import rounds_to
from kvision.layers import MaxPooling2DWithSwitches
from kvision.layers.state import parts_of

# A network that passes on the places of its maxima (SegNet) is not continuous: rounding decides
# where two values are nearly equal, and what depends on it differs by any amount. A wrong file
# differs nearly everywhere.
SHARE_WITH_SWITCHES = 0.01
LARGE_SHARE = 0.1  # of a model's metric, that a file may lose without a word


def limits_of(part, model, report, tally, tolerance=None, max_metric_drop=None):
    """Returns what a file may differ, as a dict of `max_difference`, `share_different` and such.

    Args:
        part: the task's functions, as `kvision.export.tasks.part_of` gives them.
        model: what was exported; of mixed precision it rounds more than a float file does.
        report: with the `quantize` of the file.
        tally: of all examples, or `None`.
        tolerance: what is asked for in place of a difference, or `None`.
        max_metric_drop: what is asked for in place of a drop, or `None`.
    """
    parts = parts_of(model) if isinstance(model, keras.Model) else []
    rounds = rounds_to(model) if parts and report.quantize in (None, "float16") else None
    kind = rounds or report.quantize
    limits = dict(part.LIMITS[kind])
    if kind is None and any(isinstance(layer, MaxPooling2DWithSwitches) for layer in parts):
        limits.pop("max_difference", None)
        limits["share_different"] = SHARE_WITH_SWITCHES
    if tally is not None:
        limits = dict(part.limits(limits, tally, report.quantize, rounds))
    if tolerance is not None:
        limits["max_difference"] = float(tolerance)
    if max_metric_drop is not None:
        limits["metric_drop"] = float(max_metric_drop)
    return limits


def drop(metric, model, file):
    """Returns by how much a file is worse: points of a metric in percent, else in its unit."""
    worse = file - model if metric.lower_is_better else model - file
    return 100 * worse if metric.unit == "%" else worse


def judge(report, part, metric):
    """Adds to a report the reasons why its file does not pass."""
    reasons, limits = report.reasons, report.limits
    for key, word in (("flex_operators", "Flex"), ("custom_operators", "custom")):
        names = [name for name in report.get(key) or [] if name not in part.OPERATORS]
        if names:
            reasons.append(f"It has {word} operators, which phones lack: {', '.join(names)}.")
    if report.get("random_operators"):
        reasons.append(f"It draws random numbers: {', '.join(report.random_operators)}.")
    if not report.get("static_batch", True):
        reasons.append("Its batch size is not fixed to 1.")
    if not report.samples:
        return
    if not report.finite:
        reasons.append("Its outputs are not all finite numbers.")
    elif "max_difference" in limits and report.max_difference is not None:
        allowed = limits["max_difference"] * max(1.0, report.largest_output)
        if report.max_difference > allowed:
            reasons.append(
                f"The largest difference of an output is {report.max_difference:.3g}; at most "
                f"{allowed:.3g} is allowed."
            )
    if (report.share_different or 0.0) > limits.get("share_different", 1.0):
        reasons.append(
            f"{report.share_different:.2%} {part.UNLIKE}; at most "
            f"{limits['share_different']:.2%} may."
        )
    # A drop of exactly the limit passes; rounding of the quotient must not decide.
    if "metric_drop" in limits and report.metric_drop > limits["metric_drop"] + 1e-9:
        moves = "rises" if metric.lower_is_better else "drops"
        unit = "points" if metric.unit == "%" else metric.unit
        reasons.append(
            f"The {report.metric_name} {moves} by {report.metric_drop:.2f} {unit}; at most "
            f"{limits['metric_drop']:g} is allowed."
        )


def doubt(report, tally, metric):
    """Adds to a report why passing the check says little, where it does."""
    report.doubts += tally.doubts(report.limits)
    whole = report.metric_model * (100 if metric.unit == "%" else 1)
    if report.doubts or not whole or report.metric_drop <= LARGE_SHARE * abs(whole):
        return
    share, name = report.metric_drop / abs(whole), report.metric_name
    report.doubts.append(
        f"The file adds {share:.0%} to the model's {name}."
        if metric.lower_is_better
        else f"The file loses {share:.0%} of the model's {name}."
    )
