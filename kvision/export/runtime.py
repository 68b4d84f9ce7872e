"""Any file of a run as a model: load it, then predict."""

import importlib
import json
import os

import numpy as np

from kvision import tasks
from kvision.export.interpreter import (
    input_converter,
    named_inputs,
    named_outputs,
    open_interpreter,
    real_values,
)
from kvision.export.metadata.contents import describe, kind_of, resolve
from kvision.export.metadata.labels import labels_of_run, task_of_run
from kvision.export.settling import declared, only_fitting
from kvision.export.specs import (
    Spec,
    checked,
    count_of,
    each,
    given_as,
    input_specs,
    output_specs,
    rows,
)
from kvision.export.tasks import part_of
from kvision.files.keras_files import check_keras_file
from kvision.files.reading import reading

NOTE = "assets.extra/kvision.json"  # where TensorFlow lets others keep what is theirs


def load(path, threads=None, task=None):
    """Opens an exported file as a model.

    Use it to run what was exported the way an app will, whichever format it has. A `.tflite` file
    is run by LiteRT, without importing TensorFlow.

    Args:
        path: a `.keras` file, a SavedModel folder, a `.tflite` file (of any quantisation) or a run
            folder, of which `model.keras` is taken if there is one.
        threads: threads for a `.tflite` file; all cores, at most 4, if `None`.
        task: the name of the model's task, where neither its run nor its file says it.

    Returns:
        A `LoadedModel`.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is no model, a damaged one, or one with operators that LiteRT lacks, or there
            is no such task.

    Example:

    ```python
    model = kv.export.load("saved_models/quickstart/model_int8.tflite")
    scores = model.predict(images)  # (n, height, width, channels), 0..255
    print(model.labels[scores[0].argmax()])
    ```
    """
    path = resolve(path)
    kind = kind_of(path)
    if task is not None:
        tasks.named(task)  # raises where there is none
    if kind == "tflite":
        return _open_tflite(path, threads, task)
    if kind == "saved_model":
        return _open_saved_model(path, task)
    return wrap(load_keras(path), path, task)


class LoadedModel:
    """A model from a file. Made by `load`.

    Attributes:
        path: the file, or `None`.
        kind: `"keras"`, `"saved_model"` or `"tflite"`.
        input_shape: (height, width, channels), or what else the model takes, without the batch;
            `None` where a size is open. Of several inputs a dict, by their names.
        labels: class names in the order of the outputs, or `None`.
        task: the name of its task, as its run, its file or the registry declares it or as it is the
            only one that its outputs could be of; else `None`.
        inputs: a `Spec` (shape with the batch, dtype), or a dict of them.
        outputs: of what the file itself gives, the same.
    """

    def __init__(self, run, kind, inputs, outputs, path=None, labels=None, task=None):
        self._run = run
        self.kind = kind
        self.inputs = inputs
        self.outputs = outputs
        self.path = path
        self.labels = labels
        self.task = task

    @property
    def input_shape(self):
        return each(lambda spec: tuple(spec.shape[1:]), self.inputs)

    def __repr__(self):
        return f"<LoadedModel {self.kind} {self.path} input_shape={self.input_shape}>"

    def predict(self, images, batch_size=32, raw=False):
        """The model's outputs for some images.

        Args:
            images: array (n, height, width, channels), pixels 0..255, integers or floats. A file
                that takes uint8 gets them rounded. Of a model that takes something else, arrays of
                that; of several inputs a dict of arrays by their names.
            batch_size: examples that go through the model at once, where the file allows it.
            raw: of a single-shot detector: whether to give what its network computed too, where
                the file shows it.

        Returns:
            A float32 array (n, classes), of a segmenter (n, height, width, classes); whole numbers
            (n, height, width, 1) of a file that gives classes; a dict of arrays if the model has
            several outputs. Of a detector, whichever file it is, `boxes` (n, most, 4), `classes`
            (n, most) and `scores` (n, most), padded with class -1; with `raw=True` also `raw`, a
            dict of `scores` (n, anchors, classes) and `offsets` (n, anchors, 4).

        Raises:
            ValueError: the images have another shape, there are none, or an input has another name.
        """
        images = checked(images, self.inputs)
        starts = range(0, count_of(images), batch_size)
        parts = [self._run(rows(images, i, i + batch_size)) for i in starts]
        if isinstance(parts[0], dict) and not raw:
            parts = [{key: part[key] for key in part if key != "raw"} for part in parts]
        return _joined(parts)


def load_keras(path):
    """Opens a `.keras` file as the `keras.Model` it was saved from, not compiled.

    Use it to go on with a model: train it further, take its layers, export it. The layers of
    kvision are known to it.

    Args:
        path: a `.keras` file or a run folder.

    Returns:
        A `keras.Model`.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is no `.keras` file, or a damaged one.

    Example:

    ```python
    model = kv.export.load_keras("saved_models/quickstart")
    ```
    """
    import keras

    path = resolve(path)
    if kind_of(path) != "keras":
        raise ValueError(
            "A keras.Model can be read from a `.keras` file or a run folder with one in it. "
            f"Received: {path}"
        )
    for room in ("initializers", "layers", "models"):
        importlib.import_module(f"kvision.{room}")
    with reading(path, "The Keras model", "Copy the file again, or train the model again."):
        check_keras_file(path)
        return keras.models.load_model(path, compile=False, safe_mode=True)


def wrap(model, path=None, task=None):
    """A `keras.Model` as a `LoadedModel`.

    Args:
        model: a `keras.Model`.
        path: the file that it is from, or `None`.
        task: the name of its task, if it is known.
    """
    inputs, outputs = input_specs(model), output_specs(model)
    task = task or (path and task_of_run(path)) or declared(model) or only_fitting(inputs, outputs)
    part = known_part(task)
    labels = labels_of_run(path, part.class_count(model)) if path else None

    def run(images):
        return _predicted(model, images, part)

    return LoadedModel(run, "keras", inputs, outputs, path, labels, task)


def predict_keras(model, images):
    """Inference outputs of a `keras.Model` as NumPy arrays; of a detector as `predict` gives them.

    Args:
        model: a `keras.Model`.
        images: an array, or a dict of them by the names of the inputs.
    """
    task = declared(model) or only_fitting(input_specs(model), output_specs(model))
    return _predicted(model, images, known_part(task))


def known_part(name):
    """The functions for files of a task, by its name; those of no task where nobody knows it here.

    A file may be of a task whose package is not imported: it runs, and gives what it gives.
    """
    return part_of(tasks.named(name) if name in tasks.names() else None)


def _predicted(model, images, part):
    """The model is called, not `predict`ed: `predict` of a model built for several replicas splits
    the batch among them, and fails where it leaves one of them empty.
    """
    import keras

    def tensor(values, spec):
        return keras.ops.convert_to_tensor(values, dtype=given_as(spec))

    given = each(tensor, images, input_specs(model))
    return part.answers(keras.tree.map_structure(_numbers, model(given, training=False)))


def _numbers(tensor):
    import keras

    if not keras.backend.is_int_dtype(keras.backend.standardize_dtype(tensor.dtype)):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def _open_saved_model(path, task):
    import tensorflow as tf

    with reading(path, "The SavedModel", "Export the model again, or copy the folder again."):
        archive = tf.saved_model.load(str(path))
        if "serving_default" not in archive.signatures:
            raise ValueError("it must have the signature 'serving_default'")
        serve = archive.signatures["serving_default"]
    ports, outputs = (
        {key: Spec(tuple(tensor.shape), tensor.dtype.name) for key, tensor in side.items()}
        for side in (serve.structured_input_signature[1], serve.structured_outputs)
    )
    name = next(iter(ports)) if len(ports) == 1 else None

    def run(images):
        # `archive` is named here because its variables die with it.
        given = {name: images} if name else images
        given = {key: tf.constant(value, ports[key].dtype) for key, value in given.items()}
        answer = archive.signatures["serving_default"](**given)
        answer = {key: np.asarray(value) for key, value in answer.items()}
        whole = {key: value for key, value in answer.items() if value.dtype.kind in "ui"}
        return _only({key: np.asarray(answer[key], "float32") for key in answer} | whole)

    inputs, outputs = _only(ports), _only(outputs)
    labels = labels_of_run(path, None if isinstance(outputs, dict) else outputs.shape[-1])
    task = task or task_of_run(path) or noted_task(path) or only_fitting(inputs, outputs)
    return LoadedModel(run, "saved_model", inputs, outputs, path, labels, task)


def noted_task(path):
    """Returns the task that a SavedModel of ours notes in its own folder, or `None`."""
    note = path / NOTE
    if not note.is_file():
        return None
    with reading(note, "The note of a SavedModel"):
        return json.loads(note.read_text(encoding="utf-8"))["task"]


def _open_tflite(path, threads, task):
    report = describe(path)
    if any(abs(tensor["shape"][0] if tensor["shape"] else 0) != 1 for tensor in report.inputs):
        raise ValueError(f"{path} must take one image at a time. Received: {report.inputs}")
    interpreter = open_interpreter(path, threads or min(4, os.cpu_count() or 1))
    tensors = {tensor["name"]: tensor for tensor in report.inputs}
    prepare = {key: input_converter(report, tensor) for key, tensor in tensors.items()}
    sources, sinks = named_inputs(interpreter), named_outputs(interpreter)
    inputs = _only({key: _described(tensor) for key, tensor in tensors.items()})
    outputs = _only({tensor["name"]: _described(tensor) for tensor in report.outputs})
    task = task or report.task or only_fitting(inputs, outputs)
    finish = known_part(task).finish(report)

    def run(images):
        images = images if isinstance(images, dict) else {next(iter(tensors)): images}
        given = {key: prepare[key](values) for key, values in images.items()}
        answers = []
        for i in range(count_of(given)):
            for key, values in given.items():
                interpreter.set_tensor(sources[key]["index"], values[i : i + 1])
            interpreter.invoke()
            answers.append({key: real_values(interpreter, detail) for key, detail in sinks.items()})
        return finish(_joined(answers))

    return LoadedModel(run, "tflite", inputs, outputs, path, report.labels, task)


def _described(tensor):
    sizes = (None if size < 0 else size for size in tensor["shape"][1:])
    return Spec((None, *sizes), tensor["dtype"])


def _only(parts):
    return next(iter(parts.values())) if len(parts) == 1 else parts


def _joined(parts):
    """Batches of outputs one after the other, however they are nested."""
    if isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    return np.concatenate(parts)
