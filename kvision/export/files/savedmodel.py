"""SavedModel: the model for a server, checked after writing."""

import contextlib
import json
from pathlib import Path

import keras
import numpy as np

from kvision.export.files.checks import check_model, check_not_random
from kvision.export.files.live import ROUNDING, computing_in_float32, rounds_to
from kvision.export.runtime import NOTE, load, wrap
from kvision.export.settling import find_task
from kvision.export.specs import each, given_as, input_specs, random_values, rows
from kvision.export.tasks import part_of
from kvision.files.text import check_path
from kvision.files.writing import writing

TOLERANCE = 1e-4


def saved_model(model, path, *, task=None):
    """Writes a model as a SavedModel that takes batches of any size, and reads it back.

    Use it for TensorFlow Serving, for TensorFlow in other languages, or to run the model where
    kvision is not installed. The folder appears under its name only when it is complete and gives
    the model's own outputs; an older SavedModel of that name is replaced.

    Args:
        model: a `keras.Model` from pixels 0..255 (batch, height, width, channels) to scores, or a
            detector, whose SavedModel gives `boxes`, `classes` and `scores`. One of several inputs
            takes a dict of them, and so does its SavedModel, by their names.
        path: the folder to write.
        task: the name of the model's task, where neither its builder nor its outputs say it. It is
            noted in the folder's `assets.extra`.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: `path` is a file or a folder with something else in it, the model draws random
            numbers, could be of several tasks, or the folder read back gives other outputs than the
            model.

    Example:

    ```python
    model = kv.models.LeNet5(classes=10)
    kv.export.saved_model(model, "saved_models/digits/saved_model")
    ```
    """
    path = Path(path)
    check_path(path)
    _check_target(path)
    check_model(model)
    task = find_task(model, task)
    with writing(path) as folder:
        export_graph(model, folder, None, part_of(task), "saved_model")
        if task:
            (folder / NOTE).parent.mkdir()
            (folder / NOTE).write_text(json.dumps({"task": task.name}) + "\n", encoding="utf-8")
        check_not_random(_graph_operations(folder))
        _check_copy(model, folder, task)
    return path


def export_graph(model, folder, batch_size, part, form=None, input_shape=None, in_float32=False):
    """Writes the inference graph of `model` with Keras's own exporter.

    Args:
        model: a `keras.Model`.
        folder: where to write; must not exist.
        batch_size: a fixed batch size, or `None` for any.
        part: the functions of its task, as `kvision.export.tasks.part_of` gives them.
        form: what the graph gives, as `part.graph` takes it.
        input_shape: of the input without the batch, of several a dict; the model's own if `None`.
        in_float32: whether a model of mixed precision is to compute in float32, as phones do. The
            folder is then one for the converter, which runs on TensorFlow.
    """
    specs = input_specs(model)
    shape = input_shape or each(lambda spec: spec.shape[1:], specs)
    with computing_in_float32(model) if in_float32 else contextlib.nullcontext():
        model, serve = part.graph(model, form, shape)
        if isinstance(specs, dict):
            # The names in the file are those of the inputs, whatever their tensors are called.
            serve = _by_name(serve, list(specs))
            signature = [
                keras.InputSpec(shape=(batch_size, *shape[key]), dtype=given_as(spec), name=key)
                for key, spec in specs.items()
            ]
        else:
            signature = [keras.InputSpec(shape=(batch_size, *shape), dtype=given_as(specs))]
        if in_float32:
            _write_graph(serve, signature, folder)
        else:
            archive = keras.export.ExportArchive()
            archive.track(model)
            archive.add_endpoint("serve", serve, input_signature=signature)
            archive.write_out(str(folder), verbose=False)


def _write_graph(serve, signature, folder):
    """Writes what the converter needs. Keras's exporter would trace the network three times."""
    import tensorflow as tf

    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, spec.name or f"input_{number}")
        for number, spec in enumerate(signature)
    ]
    traced = tf.function(serve, autograph=False).get_concrete_function(*specs)
    module = tf.Module()
    module.used = list(traced.graph.variables)
    tf.saved_model.save(module, str(folder), signatures=traced)


def _by_name(serve, names):
    """A function of separate tensors, of one that takes them as a dict."""
    return lambda *tensors: serve(dict(zip(names, tensors, strict=True)))


def _check_target(path):
    if not path.exists() or (path / "saved_model.pb").is_file():
        return
    if not path.is_dir() or any(path.iterdir()):
        raise ValueError(
            "`path` must be a new folder or an older SavedModel, which is replaced. "
            f"Received: {path}, which holds something else."
        )


def _graph_operations(folder):
    import tensorflow as tf

    signature = tf.saved_model.load(str(folder)).signatures["serving_default"]
    graph = signature.graph.as_graph_def()
    nodes = [*graph.node, *(n for f in graph.library.function for n in f.node_def)]
    return {node.op for node in nodes}


def _check_copy(model, folder, task):
    # Sizes left open are tried at 224, a multiple of every stride in use.
    inputs = each(lambda spec: random_values(spec, 3), input_specs(model))
    name = task and task.name
    source, copy = wrap(model, task=name), load(folder, task=name)
    tolerance = ROUNDING.get(rounds_to(model), TOLERANCE)
    for count in (1, 3):
        some = rows(inputs, 0, count)
        wanted, got = (keras.tree.flatten(one.predict(some)) for one in (source, copy))
        difference = max(float(np.abs(a - b).max()) for a, b in zip(wanted, got, strict=True))
        largest = max(float(np.abs(a).max()) for a in wanted)
        if not difference <= tolerance * max(1.0, largest):
            raise ValueError(
                f"The SavedModel read back must give the model's outputs within {tolerance}. "
                f"Received: a largest difference of {difference:.3g}. Nothing was written."
            )
