"""From a trained model to a folder that an app developer can trust."""

import datetime
import json
import platform
from importlib import metadata
from pathlib import Path

from kvision import export, registry, visualize
from kvision.export.label_maps import is_segmenter
from kvision.export.labels import FILE_NAME, label_text
from kvision.runs import classifying, detecting, segmenting
from kvision.runs.card import model_card

FILES = {None: "model.tflite", "float16": "model_float16.tflite", "dynamic": "model_dynamic.tflite"}
PACKAGES = ("kvision", "tensorflow", "keras", "ai-edge-litert", "numpy")


def release(
    model,
    run_dir,
    test,
    calibration,
    class_names,
    *,
    quantize=(None, "int8"),
    data="",
    command="",
    threads=(1, 2),
):
    """Scores a trained model, exports it, proves the exports and writes the model card.

    Use it at the end of a training script. Run again on the same folder it replaces what it wrote.

    Args:
        model: a trained classifier, segmenter or detector; its input size must be known.
        run_dir: the run folder; `history.csv`, if a training left one there, is drawn.
        test: batches of `(images, labels)`, of a segmenter `(images, masks)`, of a detector
            `(images, truth)`, that the model has not seen.
        calibration: batches of training images, from which int8 takes its ranges.
        class_names: names in label order.
        quantize: which TFLite files to write: of `None`, `"float16"`, `"dynamic"`, `"int8"`.
        data: a line about the data, for the card.
        command: the command that made the run, for the card; `None` keeps that of the card there.
        threads: numbers of threads to time each file with.

    Returns:
        The card: the dict that is written to `card.json`. `card["passed"]` says whether every
        file passed its check.

    Raises:
        ValueError: where the data or the class names do not fit the model.
        FileNotFoundError: where `command` is `None` and the folder has no card.

    Example:

    ```python
    card = kv.runs.release(model, "saved_models/digits", test_batches, train_batches, class_names)
    ```
    """
    run_dir = Path(run_dir)
    if command is None:
        command = json.loads((run_dir / "card.json").read_text(encoding="utf-8"))["command"]
    (run_dir / "figures").mkdir(parents=True, exist_ok=True)
    print(f"Scoring {model.name} on the test images ...")
    task = _task_of(model)
    sample = task.Sample(model, test)
    metrics = sample.evaluate(class_names)
    model.save(run_dir / "model.keras")
    if not quantize:  # else it comes with the TFLite files
        (run_dir / FILE_NAME).write_text(label_text(class_names), encoding="utf-8")
    files = _export_all(model, run_dir, test, calibration, class_names, quantize, list(threads))
    card = {
        "name": run_dir.name,
        "task": task.TASK,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "architecture": _architecture(model),
        "data": data,
        "classes": list(class_names),
        "metrics": metrics,
        "files": files,
        "passed": all(file["check"]["passed"] for file in files.values()),
        "command": command,
        "versions": {name: metadata.version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
    }
    _draw(model, run_dir, sample, card)
    (run_dir / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    (run_dir / "README.md").write_text(model_card(card, run_dir), encoding="utf-8")
    return card


def _task_of(model):
    outputs = getattr(model, "output", None)  # of some Sequential models there is none
    if isinstance(outputs, dict) and "boxes" in outputs:
        return detecting
    return segmenting if is_segmenter(model) else classifying


def _export_all(model, run_dir, test, calibration, class_names, quantize, threads):
    """Each file with its check and its latency: `{file name: {"check": ..., "latency": ...}}`."""
    files = {"saved_model": export.saved_model(model, run_dir / "saved_model")}
    for kind in quantize:
        name = FILES.get(kind, f"model_{kind}.tflite")
        print(f"Converting to {name} ...")
        files[name] = export.tflite(
            model, run_dir / name, kind, calibration=calibration, labels=class_names
        )
    results = {}
    for name, path in files.items():
        check = export.verify(model, path, test, samples=None)
        said = " ".join([*check.reasons, *check.doubts])
        print(f"  {name}: {'PASS' if check.passed else 'FAIL'} {said}".rstrip())
        results[name] = {"check": dict(check)}
        if check.passed:
            results[name]["latency"] = _latency(path, threads)
    return results


def _latency(path, threads):
    report = export.benchmark(path, threads=threads)
    return [dict(row) for row in report.get("results", [report])]


def _architecture(model):
    entry = registry.entry_of(model)
    return {
        "name": entry.name if entry else model.name,
        "paper": entry.paper if entry else "",
        "url": entry.url if entry else "",
        "input_shape": list(model.input_shape[1:]),
        "parameters": model.count_params(),
    }


def _draw(model, run_dir, sample, card):
    """The figures of the card."""
    figures = sample.figures(card)
    if (run_dir / "history.csv").is_file():
        figures["learning_curves"] = visualize.learning_curves(run_dir / "history.csv")
    if any(len(weight.shape) == 4 for weight in model.weights):
        figures["filters"] = visualize.filters(model)
    for name, figure in figures.items():
        figure.savefig(run_dir / "figures" / f"{name}.png")
