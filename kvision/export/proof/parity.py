"""The proof: an exported file against the model it came from, on real examples."""

import os
import shutil
from pathlib import Path

import keras
import numpy as np

from kvision.export.metadata.contents import describe, kind_of, resolve
from kvision.export.metadata.labels import task_of_run
from kvision.export.proof.limits import doubt, drop, judge, limits_of
from kvision.export.proof.report import Report
from kvision.export.runtime import load, load_keras, wrap
from kvision.export.settling import declared, fitting, task_of
from kvision.export.specs import count_of, each, rows, specs_of, text_of
from kvision.export.tasks import part_of

_TAKEN = (
    "quantize",
    "settings",
    "size_bytes",
    "static_batch",
    "operators",
    "flex_operators",
    "custom_operators",
    "random_operators",
)


def verify(model, path, dataset, *, tolerance=None, max_metric_drop=None, samples=1000, task=None):
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
        task: the name of the model's task, where neither its file, the exported one nor its builder
            says it and its outputs could be of several.

    Returns:
        A `Report` with `passed` and `reasons` (why not, in sentences), `doubts` (where passing says
        little: a file that loses a tenth of its model's accuracy, a model that finds nothing),
        `limits`, `samples`, `max_difference`, `mean_difference`, `share_different` (of the outputs,
        by more than 1e-4), `top1_agreement`, `metric_name`, `metric_model` and
        `metric_file` (0..1, or in `metric_unit`), `metric_unit`, `metric_drop` (points, or in that
        unit; of an error, by how much it rises), `task`, `size_bytes`, `quantize`, `operators`,
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
    report = Report(path=str(path), kind=kind, quantize=None, passed=False, reasons=[], doubts=[])
    report.samples = 0
    try:
        found = describe(path)
        report.update({key: found[key] for key in _TAKEN if key in found})
        file = load(path)
    except ValueError as error:
        report.reasons.append(str(error))
        file = None
    model, reference, task = _reference(model, file, task)
    report.task = task.name
    part, tally = part_of(task), None
    if file is not None:
        tally = _compare(report, part, reference, file, dataset, samples)
    if tally is not None:
        report.update(tally.figures(), metric_unit=task.metric.unit)
        report.metric_drop = drop(task.metric, report.metric_model, report.metric_file)
    report.limits = limits_of(part, model, report, tally, tolerance, max_metric_drop)
    judge(report, part, task.metric)
    report.passed = not report.reasons
    if report.passed:
        doubt(report, tally, task.metric)
    else:
        report.rejected = str(_reject(path))
        report.reasons.append(f"The file was renamed to {Path(report.rejected).name}.")
    return report


def _reference(model, file, task):
    """Returns what a file came from, as it is and as a `LoadedModel`, and its `Task`."""
    if not isinstance(model, keras.Model):
        path = resolve(model)
        if kind_of(path) != "keras":
            loaded = load(path, task=task)
            return model, loaded, _task_of(loaded, file, task)
        model, task = load_keras(path), task or task_of_run(path)
    task = _task_of(model, file, task)
    return model, wrap(model, task=task.name), task


def _task_of(model, file, task):
    """Returns the `Task` of a model; where it may be of several, the one that its file names."""
    if not task and file and not declared(model) and file.task in fitting(model):
        task = file.task
    return task_of(model, task)


def _compare(report, part, reference, file, dataset, samples):
    """Returns the tally of all examples, or `None` where the file does not take them."""
    tally = None
    for images, truth in _examples(dataset, samples):
        wanted = reference.predict(images, raw=True)
        part.check(wanted, truth)
        try:
            received = file.predict(images, raw=True)
        except ValueError as error:
            report.reasons.append(f"The file does not take the model's images. {error}")
            return None
        if not part.fits(received, wanted):
            shapes = [text_of(specs_of(outputs)) for outputs in (received, wanted)]
            report.reasons.append("The file's output has the shape {}, not {}.".format(*shapes))
            return None
        tally = tally or part.tally(report)
        tally.add(wanted, received, truth)
    if tally is None:
        raise ValueError(
            "`dataset` must give batches of (images, labels) with at least one example. "
            "Received: none"
        )
    return tally


def _examples(dataset, samples):
    left = float("inf") if samples is None else samples
    for batch in dataset:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise ValueError(
                "`dataset` must give batches of (images, labels). "
                f"Received: an element of type {type(batch).__name__}"
            )
        images, truth = (each(np.asarray, part) for part in batch[:2])
        count = int(min(left, count_of(images)))
        if count:
            yield (rows(part, 0, count) for part in (images, truth))
        left -= count
        if left <= 0:
            return


def _reject(path):
    rejected = path.with_name(f"{path.name}.rejected")
    if rejected.is_dir():
        shutil.rmtree(rejected)
    os.replace(path, rejected)
    return rejected
