"""SavedModel: the model for a server, checked after writing."""

import contextlib
import functools
from pathlib import Path

import keras
import numpy as np

from kvision.export.files.live import ROUNDING, computing_in_float32, rounds_to
from kvision.export.metadata.contents import is_random
from kvision.export.runtime import load, predict_keras
from kvision.files.text import check_path
from kvision.files.writing import writing

TOLERANCE = 1e-4


def saved_model(model, path):
    """Writes a model as a SavedModel that takes batches of any size, and reads it back.

    Use it for TensorFlow Serving, for TensorFlow in other languages, or to run the model where
    kvision is not installed. The folder appears under its name only when it is complete and gives
    the model's own outputs; an older SavedModel of that name is replaced.

    Args:
        model: a `keras.Model` from pixels 0..255 (batch, height, width, channels) to scores, or a
            detector, whose SavedModel gives `boxes`, `classes` and `scores`.
        path: the folder to write.

    Returns:
        The folder, a `pathlib.Path`.

    Raises:
        ValueError: `path` is a file or a folder with something else in it, the model draws random
            numbers, or the folder read back gives other outputs than the model.

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
    with writing(path) as folder:
        export_graph(model, folder, batch_size=None)
        check_not_random(_graph_operations(folder))
        _check_copy(model, folder)
    return path


def export_graph(model, folder, batch_size, input_shape=None, answer=None, in_float32=False):
    """Writes the inference graph of `model` with Keras's own exporter.

    Args:
        model: a `keras.Model`.
        folder: where to write; must not exist.
        batch_size: a fixed batch size, or `None` for any.
        input_shape: (height, width, channels); the model's own if `None`.
        answer: what the graph gives. `None`: the model's outputs, of a detector its detections.
            `"labels"`: of a segmenter the class of each pixel. `"raw"`: of a single-shot detector
            what the network computes. `"objects"`: what TFLite's operator makes of that.
        in_float32: whether a model of mixed precision is to compute in float32, as phones do.
    """
    shape = (batch_size, *(input_shape or model.input_shape[1:]))
    signature = [keras.InputSpec(shape=shape, dtype="float32")]
    archive = keras.export.ExportArchive()
    with computing_in_float32(model) if in_float32 else contextlib.nullcontext():
        model, serve = _served(model, answer, shape[1:])
        archive.track(model)
        archive.add_endpoint("serve", serve, input_signature=signature)
        archive.write_out(str(folder), verbose=False)


def _served(model, answer, input_shape):
    """The model whose weights are used, and the function that gives the answer."""
    from kvision.export.forms import detectors, label_maps

    if answer == "labels":
        scores = label_maps.before_upsampling(model)
        return scores, label_maps.label_function(scores, model.output_shape[1:3])
    if answer == "raw":
        return model, detectors.raw_function(model)
    if answer == "objects":
        settings = detectors.detector_settings(model, input_shape)
        return model, detectors.postprocess_function(model, settings)
    if detectors.is_detector(model):
        return model, detectors.detections_function(model)
    # Not `model.export`: it leaves `training` open, and Keras's augmentation layers then act.
    return model, functools.partial(model.__call__, training=False)


def check_model(model):
    """Raises `ValueError` unless `model` is a built model of one image."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"`model` must be a keras.Model. Received: {model!r}. "
            "Load a file first: kv.export.load_keras(path)."
        )
    shape = getattr(model, "input_shape", None) if model.built else None
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            "`model` must be built and take one batch of images (batch, height, width, channels). "
            f"Received: a model with input shape {shape}."
        )


def check_not_random(operations):
    """Raises `ValueError` if any of these operations gives other numbers each time."""
    found = sorted({name for name in operations if is_random(name)})
    if found:
        raise ValueError(
            "A model that leaves the building must give the same output for the same pixels. "
            f"Received: a model with the operations {', '.join(found)} at inference. Make its "
            "random layers do nothing unless `training=True`."
        )


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


def _check_copy(model, folder):
    # Sizes left open are tried at 224, a multiple of every stride in use.
    shape = [size or 224 for size in model.input_shape[1:]]
    images = np.random.default_rng(0).uniform(0, 255, (3, *shape)).astype("float32")
    copy, tolerance = load(folder), ROUNDING.get(rounds_to(model), TOLERANCE)
    for count in (1, 3):
        wanted = predict_keras(model, images[:count])
        if isinstance(wanted, dict):
            wanted.pop("raw", None)
        wanted = keras.tree.flatten(wanted)
        got = keras.tree.flatten(copy.predict(images[:count]))
        difference = max(float(np.abs(a - b).max()) for a, b in zip(wanted, got, strict=True))
        largest = max(float(np.abs(a).max()) for a in wanted)
        if not difference <= tolerance * max(1.0, largest):
            raise ValueError(
                f"The SavedModel read back must give the model's outputs within {tolerance}. "
                f"Received: a largest difference of {difference:.3g}. Nothing was written."
            )
