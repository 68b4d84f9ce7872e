"""The proof: an exported file against the model it came from, on real examples."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np

from kvision.export.files.live import ROUNDING, rounds_to
from kvision.export.forms.detectors import POSTPROCESS
from kvision.export.metadata.contents import describe, kind_of, resolve
from kvision.export.proof.detection_tally import SURE, DetectionTally
from kvision.export.proof.report import Report
from kvision.export.proof.tallies import DIFFERENT, MaskTally, tally_for
from kvision.export.runtime import load, load_keras, wrap
from kvision.layers import MaxPooling2DWithSwitches
from kvision.layers.state import parts_of

# Largest difference of an output, and points (hundredths) of accuracy that may be lost. Rounding
# weights to float16 moved scores of trained MobileNets by up to 0.02: of examples on the border
# between two classes. A wrong file moves them by nearly 1. Of models that compute in 16 bits it is
# the model that rounds: "float16" and "bfloat16" are theirs too. In bfloat16 up to 2 % of examples,
# those on a border, changed their class.
LIMITS = {
    None: {"max_difference": 1e-4},
    "float16": {"max_difference": ROUNDING["float16"], "metric_drop": 0.5},
    "bfloat16": {"max_difference": ROUNDING["bfloat16"], "metric_drop": 1.0},
    "dynamic": {"metric_drop": 0.5},
    "int8": {"metric_drop": 0.5},
}
# Of segmenters: some pixel always lies on a border, and mean IoU is the stricter metric. A picture
# has millions of outputs, and the largest of so many rounding errors is beyond 1e-4.
# A network that passes on the places of its maxima (SegNet) is not continuous: rounding decides
# where two values are nearly equal, and what depends on it differs by any amount. A wrong file
# differs nearly everywhere.
SWITCH_LIMITS = {"share_different": 0.01, "metric_drop": 0.1}
MASK_LIMITS = {
    None: {"max_difference": 1e-3, "metric_drop": 0.1},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 1.5},
    "int8": {"metric_drop": 1.5},
}
# Of detectors: what float rounding moves across a threshold is one detection among many. Files that
# do not show what the network computes may differ in one of a hundred detections.
DETECTION_LIMITS = {
    None: {"max_difference": 1e-4, "metric_drop": 0.1},
    "float16": {"metric_drop": 0.5},
    "bfloat16": {"metric_drop": 0.5},
    "dynamic": {"metric_drop": 2.0},
    "int8": {"metric_drop": 2.0},
}
LARGE_SHARE = 0.1  # of a model's accuracy, that a file may lose without a word
SAME_DETECTIONS = {"share_different": 0.01}
_TAKEN = (
    "quantize",
    "detector",
    "size_bytes",
    "static_batch",
    "operators",
    "flex_operators",
    "custom_operators",
    "random_operators",
)


def verify(model, path, dataset, *, tolerance=None, max_metric_drop=None, samples=1000):
    """Proves that an exported file gives what its model gives, or takes it out of use.

    Use it after every export, with examples the model was not trained on: the file is read back
    and run as an app will run it.

    Args:
        model: the `keras.Model` that was exported, or the path of anything `kv.export.load` opens.
            It is run as it is. One of mixed precision rounds as it computes, and its float file
            does not: what holds of float16 files holds of the float files of such a model. Of one
            that computes in bfloat16, which is coarser, outputs may differ by 0.5 and accuracy
            drop by a point.
        path: the exported file: a `.tflite` file or a SavedModel folder.
        dataset: batches of `(images, labels)` as `kv.data.batches` gives; labels are class numbers
            or rows of ones and zeros, one-hot or (multi-label) with any number of ones, of a
            segmenter masks of class numbers, where 255 is void, of a detector dicts of `boxes` and
            `classes`, as `target="objects"` gives.
        tolerance: largest allowed difference of an output. For outputs larger than 1, such as
            logits, it is relative to the largest of them. If `None`: 1e-4 for float files (of
            segmenters 1e-3), 0.1 for float16 (of segmenters and detectors none), no limit for
            dynamic and int8. Of detectors it is the difference of the scores, and of the boxes in
            sides of their anchors.
        max_metric_drop: points (hundredths) of accuracy, of a segmenter of mean IoU, that the file
            may be worse. If `None`: 0.5 for float16, dynamic and int8, but 1.5 for dynamic and int8
            segmenters and for files that give classes instead of scores; 0.1 for float segmenters,
            no limit for other float files. Of detectors, points of COCO's AP: 0.1 for float files,
            0.5 for float16, 2 for dynamic and int8.
        samples: the most examples to compare; `None` for all.

    Returns:
        A `Report` with `passed` and `reasons` (why not, in sentences), `doubts` (where passing says
        little: a file that loses a tenth of its model's accuracy, a model that finds nothing),
        `limits`, `samples`, `max_difference`, `mean_difference`, `share_different` (of the outputs,
        by more than 1e-4), `top1_agreement`, `metric_name`, `metric_model` and
        `metric_file` (0..1), `metric_drop` (points), `size_bytes`, `quantize`, `operators`,
        `flex_operators`, `custom_operators`, `random_operators`, `static_batch`. `print` shows it
        as a table. If it did not pass, the file was renamed: its new name is in `rejected`.

    Raises:
        FileNotFoundError: there is no file at `path`.
        ValueError: an argument is wrong, or `dataset` has no examples that fit the model.

    Example:

    ```python
    report = kv.export.verify(model, "saved_models/quickstart/model_int8.tflite", test_batches)
    print(report)
    ```
    """
    path = Path(path)
    kind = kind_of(resolve(path))
    if kind == "keras" or resolve(path) != path:
        raise ValueError(f"`path` must be a .tflite file or a SavedModel folder. Received: {path}")
    if samples is not None and samples < 1:
        raise ValueError(f"`samples` must be at least 1 or None. Received: {samples}")
    if not isinstance(model, keras.Model) and kind_of(resolve(model)) == "keras":
        model = load_keras(model)
    reference = wrap(model) if isinstance(model, keras.Model) else load(model)
    report = Report(path=str(path), kind=kind, quantize=None, passed=False, reasons=[], doubts=[])
    report.samples = 0
    try:
        found = describe(path)
        report.update({key: found[key] for key in _TAKEN if key in found})
        file = load(path)
    except ValueError as error:
        report.reasons.append(str(error))
        file = None
    tally = _compare(report, reference, file, dataset, samples) if file is not None else None
    report.limits = _limits(report.quantize, tally, tolerance, max_metric_drop, model)
    _judge(report)
    report.passed = not report.reasons
    if report.passed:
        _doubt(report)
    else:
        report.rejected = str(_reject(path))
        report.reasons.append(f"The file was renamed to {Path(report.rejected).name}.")
    return report


def _limits(quantize, tally, tolerance, max_metric_drop, model):
    kinds = {MaskTally: MASK_LIMITS, DetectionTally: DETECTION_LIMITS}
    parts = parts_of(model) if isinstance(model, keras.Model) else []
    rounds = rounds_to(model) if parts and quantize in (None, "float16") else None
    kind = rounds or quantize
    limits = dict(kinds.get(type(tally), LIMITS)[kind])
    if kind is None and any(isinstance(part, MaxPooling2DWithSwitches) for part in parts):
        limits = dict(SWITCH_LIMITS)
    if isinstance(tally, DetectionTally) and not tally.comparable and quantize is None:
        drop = 2.0 if tally.across else limits["metric_drop"]
        limits = {**({} if rounds else SAME_DETECTIONS), "metric_drop": drop}
    if isinstance(tally, MaskTally) and not tally.comparable:
        limits = {"metric_drop": MASK_LIMITS["int8"]["metric_drop"]}
    if tolerance is not None:
        limits["max_difference"] = float(tolerance)
    if max_metric_drop is not None:
        limits["metric_drop"] = float(max_metric_drop)
    return limits


def _compare(report, reference, file, dataset, samples):
    """Adds the figures of all examples to the report; the tally, if the file takes the images."""
    tally = None
    for images, labels in _examples(dataset, samples):
        wanted = reference.predict(images, raw=True)
        _check_kind(wanted, labels)
        try:
            received = file.predict(images, raw=True)
        except ValueError as error:
            report.reasons.append(f"The file does not take the model's images. {error}")
            return tally
        if not _fits(received, wanted):
            shapes = [
                sorted(outputs) if isinstance(outputs, dict) else outputs.shape
                for outputs in (received, wanted)
            ]
            report.reasons.append("The file's output has the shape {}, not {}.".format(*shapes))
            return tally
        tally = tally or _tally(wanted, report)
        tally.add(wanted, received, labels)
    if tally is None:
        raise ValueError(
            "`dataset` must give batches of (images, labels) with at least one example. "
            "Received: none"
        )
    if tally.metrics()[0] is None:
        raise ValueError(
            "`dataset` must hold objects, so that there is an average precision to compare. "
            f"Received: {tally.samples} pictures without any"
        )
    report.update(tally.figures())
    return tally


def _tally(wanted, report):
    if not isinstance(wanted, dict):
        return tally_for(wanted)
    has_operator = POSTPROCESS in report.get("operators", {})
    return DetectionTally(report.detector["iou_threshold"] if has_operator else None)


def _check_kind(wanted, labels):
    """Raises `ValueError` unless the examples are of the kind that the model is for."""
    found = isinstance(wanted, dict)
    if found and not {"boxes", "classes", "scores"} <= set(wanted):
        raise ValueError(
            "`model` must have one output of class scores, or be a detector. "
            f"Received: a model with the outputs {sorted(wanted)}"
        )
    if found != isinstance(labels, dict) or (found and not {"boxes", "classes"} <= set(labels)):
        raise ValueError(
            "`dataset` must give (images, truth) to a detector, where truth is a dict with 'boxes' "
            "and 'classes', and (images, labels) to any other model. Received: "
            + (f"a dict of {sorted(labels)}" if isinstance(labels, dict) else "an array")
            + (" for a detector" if found else "")
        )


def _fits(received, wanted):
    if isinstance(wanted, dict):
        same = isinstance(received, dict) and set(received) - {"raw"} == set(wanted) - {"raw"}
        return same and received["boxes"].shape[::2] == wanted["boxes"].shape[::2]
    if isinstance(received, dict):
        return False
    are_classes = received.dtype.kind in "ui" and received.shape == (*wanted.shape[:-1], 1)
    return received.shape == wanted.shape or (wanted.ndim == 4 and are_classes)


def _examples(dataset, samples):
    left = float("inf") if samples is None else samples
    for batch in dataset:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(
                "`dataset` must give batches of (images, labels). "
                f"Received: an element of type {type(batch).__name__}"
            )
        images, labels = np.asarray(batch[0]), batch[1]
        count = int(min(left, len(images)))
        if count and isinstance(labels, dict):
            yield images[:count], {key: np.asarray(labels[key])[:count] for key in labels}
        elif count:
            yield images[:count], np.asarray(labels)[:count]
        left -= count
        if left <= 0:
            return


def _judge(report):
    reasons, limits = report.reasons, report.limits
    for key, word in (("flex_operators", "Flex"), ("custom_operators", "custom")):
        names = [name for name in report.get(key) or [] if name != POSTPROCESS]
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
    if (report.get("share_different") or 0.0) > limits.get("share_different", 1.0):
        what = f"of the outputs differ by more than {DIFFERENT:g}"
        if report.metric_name == DetectionTally.metric:
            what = "of the model's detections are not in the file's"
        reasons.append(
            f"{report.share_different:.2%} {what}; at most {limits['share_different']:.2%} may."
        )
    # A drop of exactly the limit passes; rounding of the quotient must not decide.
    if "metric_drop" in limits and report.metric_drop > limits["metric_drop"] + 1e-9:
        reasons.append(
            f"The {report.metric_name} drops by {report.metric_drop:.2f} points; at most "
            f"{limits['metric_drop']:g} is allowed."
        )


def _doubt(report):
    """Adds why passing the check says little, where it does."""
    if report.top1_agreement is None and "max_difference" not in report.limits:
        report.doubts.append(
            f"The model is sure of no object (score {SURE} or more): nothing was compared."
        )
    elif report.metric_drop > LARGE_SHARE * 100 * report.metric_model:
        share = report.metric_drop / (100 * report.metric_model)
        report.doubts.append(f"The file loses {share:.0%} of the model's {report.metric_name}.")


def _reject(path):
    rejected = path.with_name(f"{path.name}.rejected")
    if rejected.is_dir():
        shutil.rmtree(rejected)
    os.replace(path, rejected)
    return rejected
