"""From a trained model to a folder that an app developer can trust."""

import datetime
import json
import platform
from importlib import metadata
from pathlib import Path

from kvision import export, registry, visualize
from kvision.export.files.litert import one_graph
from kvision.export.metadata.labels import FILE_NAME, label_text
from kvision.export.specs import input_specs, output_specs
from kvision.files.writing import clear_partial, writing
from kvision.runs.card import model_card
from kvision.runs.tasks import part_of
from kvision.runs.trained import settle_best
from kvision.training import run_folder

FILES = {None: "model.tflite", "float16": "model_float16.tflite", "dynamic": "model_dynamic.tflite"}
PACKAGES = ("kvision", "tensorflow", "keras", "ai-edge-litert", "numpy")


def release(
    model,
    run_dir,
    test,
    calibration,
    class_names=(),
    *,
    task=None,
    quantize=(None, "int8"),
    data="",
    command="",
    threads=(1, 2),
):
    """Scores a trained model, exports it, proves the exports and writes the model card.

    Use it at the end of a training script. What is exported is the best epoch: where a training
    with `kv.training.callbacks` left its `model.keras` in the folder, `model` is given the weights
    of that file, which stays as it is. In any other folder `model.keras` becomes what `model` is.
    Run again on the same folder it replaces what it wrote, and goes on where it was killed.

    Args:
        model: a trained model of a task that kvision knows; its input size must be known.
        run_dir: the run folder; `history.csv`, if a training left one there, is drawn.
        test: batches of inputs and truth, such as `(images, labels)`, that the model has not seen.
        calibration: batches of training images, from which int8 takes its ranges.
        class_names: names in label order; none where the task has no classes.
        task: the name of a task, for a model that does not say which is its own.
        quantize: which TFLite files to write: of `None`, `"float16"`, `"dynamic"`, `"int8"`.
        data: a line about the data, for the card.
        command: the command that made the run, for the card; `None` takes what the training or the
            card there says.
        threads: numbers of threads to time each file with.

    Returns:
        The card: the dict that is written to `card.json`. `card["passed"]` says whether every
        file passed its check.

    Raises:
        ValueError: where the data or the class names do not fit the model, nobody says which task
            it is for, it is not the one that was trained in the folder, its training has not ended,
            or another process works there.
        FileNotFoundError: where a run was trained and its `model.keras` is gone.
        OSError: where the disk is full or cannot be written to.

    Example:

    ```python
    card = kv.runs.release(model, "saved_models/digits", test_batches, train_batches, class_names)
    ```
    """
    run_dir = Path(run_dir)
    with run_folder.locked(run_dir):
        clear_partial(run_dir)
        clear_partial(run_dir / "figures")
        task = export.task_of(model, task or _known_task(run_dir))
        if command is None:
            command = _known_command(run_dir)
        settle_best(model, run_dir)
        print(f"Scoring {model.name} on the test images ...")
        part = part_of(task)
        pictures = part.Pictures()
        metrics = part.evaluate(model, test, class_names, each=pictures)
        if class_names:
            _write(run_dir / FILE_NAME, label_text(class_names))
        labels = part.labels(model, class_names)
        given = {"labels": labels, "task": task.name}
        files = _export_all(model, run_dir, test, calibration, given, quantize, list(threads))
        card = {
            "name": run_dir.name,
            "task": task.name,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "architecture": _architecture(model),
            "data": data,
            "classes": list(class_names),
            "metrics": metrics,
            "files": files,
            "passed": all(file["check"]["passed"] for file in files.values()),
            "command": command,
            "versions": {name: metadata.version(name) for name in PACKAGES},
            "machine": f"{platform.system()} {platform.machine()}, "
            f"Python {platform.python_version()}",
        }
        _draw(model, run_dir, pictures.figures, card)
        _write(run_dir / "README.md", model_card(card, run_dir))
        _write(run_dir / "card.json", json.dumps(card, indent=1) + "\n")
    return card


def _write(path, text):
    with writing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _known_command(run_dir):
    """The command that a training or an earlier card tells of, else an empty text."""
    if command := run_folder.read_run(run_dir).get("command"):
        return command
    card = run_dir / "card.json"
    return json.loads(card.read_text(encoding="utf-8"))["command"] if card.is_file() else ""


def _known_task(run_dir):
    """The name of the task that a training was told, if it was."""
    return run_folder.read_run(run_dir).get("about", {}).get("task")


def _export_all(model, run_dir, test, calibration, given, quantize, threads):
    """Each file with its check and its latency: `{file name: {"check": ..., "latency": ...}}`."""
    files = {"saved_model": export.saved_model(model, run_dir / "saved_model", task=given["task"])}
    with one_graph(model):
        for kind in quantize:
            name = FILES.get(kind, f"model_{kind}.tflite")
            print(f"Converting to {name} ...")
            path = run_dir / name
            files[name] = export.tflite(model, path, kind, calibration=calibration, **given)
    results = {}
    for name, path in files.items():
        check = export.verify(model, path, test, samples=None, task=given["task"])
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
        "input_shape": _without_batch(input_specs(model)),
        "outputs": _without_batch(output_specs(model)),
        "parameters": model.count_params(),
    }


def _without_batch(specs):
    """Shapes without the batch as JSON holds them; of several inputs or outputs a dict."""
    if isinstance(specs, dict):
        return {key: _without_batch(spec) for key, spec in specs.items()}
    return list(specs.shape[1:])


def _draw(model, run_dir, figures, card):
    """The figures of the card."""
    figures = figures(card)
    if (run_dir / "history.csv").is_file():
        figures["learning_curves"] = visualize.learning_curves(run_dir / "history.csv")
    if any(len(weight.shape) == 4 for weight in model.weights):
        figures["filters"] = visualize.filters(model)
    for name, figure in figures.items():
        with writing(run_dir / "figures" / f"{name}.png") as partial:
            figure.savefig(partial)
