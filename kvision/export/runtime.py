"""Any file of a run as a model: load it, then predict."""

import importlib
import os

import numpy as np

from kvision.export.forms.decoding import decoder, padded
from kvision.export.interpreter import (
    input_converter,
    named_outputs,
    open_interpreter,
    real_values,
)
from kvision.export.metadata.contents import describe, kind_of, read_flatbuffer, resolve
from kvision.export.metadata.labels import labels_of_run
from kvision.export.metadata.tflite import read_metadata
from kvision.files.keras_files import check_keras_file
from kvision.files.reading import reading


def load(path, threads=None):
    """Opens an exported file as a model.

    Use it to run what was exported the way an app will, whichever format it has. A `.tflite` file
    is run by LiteRT, without importing TensorFlow.

    Args:
        path: a `.keras` file, a SavedModel folder, a `.tflite` file (of any quantisation) or a run
            folder, of which `model.keras` is taken if there is one.
        threads: threads for a `.tflite` file; all cores, at most 4, if `None`.

    Returns:
        A `LoadedModel`.

    Raises:
        FileNotFoundError: there is nothing at `path`.
        ValueError: it is no model, a damaged one, or one with operators that LiteRT lacks.

    Example:

    ```python
    model = kv.export.load("saved_models/quickstart/model_int8.tflite")
    scores = model.predict(images)  # (n, height, width, channels), 0..255
    print(model.labels[scores[0].argmax()])
    ```
    """
    path = resolve(path)
    kind = kind_of(path)
    if kind == "tflite":
        return _open_tflite(path, threads)
    if kind == "saved_model":
        return _open_saved_model(path)
    return wrap(load_keras(path), path)


class LoadedModel:
    """A model from a file. Made by `load`.

    Attributes:
        path: the file, or `None`.
        kind: `"keras"`, `"saved_model"` or `"tflite"`.
        input_shape: (height, width, channels); `None` where a size is open.
        labels: class names in the order of the outputs, or `None`.
    """

    def __init__(self, run, kind, input_shape, path=None, labels=None):
        self._run = run
        self.kind = kind
        self.input_shape = tuple(input_shape)
        self.path = path
        self.labels = labels

    def __repr__(self):
        return f"<LoadedModel {self.kind} {self.path} input_shape={self.input_shape}>"

    def predict(self, images, batch_size=32, raw=False):
        """The model's outputs for some images.

        Args:
            images: array (n, height, width, channels), pixels 0..255, integers or floats. A file
                that takes uint8 gets them rounded.
            batch_size: images that go through the model at once, where the file allows it.
            raw: of a single-shot detector: whether to give what its network computed too, where
                the file shows it.

        Returns:
            A float32 array (n, classes), of a segmenter (n, height, width, classes); whole numbers
            (n, height, width, 1) of a file that gives classes; a dict of arrays if the model has
            several outputs. Of a detector, whichever file it is, `boxes` (n, most, 4), `classes`
            (n, most) and `scores` (n, most), padded with class -1; with `raw=True` also `raw`, a
            dict of `scores` (n, anchors, classes) and `offsets` (n, anchors, 4).

        Raises:
            ValueError: the images have another shape, or there are none.
        """
        images = np.asarray(images)
        wanted = self.input_shape
        fits = images.ndim == 4 and all(
            size in (None, got) for size, got in zip(wanted, images.shape[1:], strict=True)
        )
        if not fits or not len(images):
            shown = ", ".join("any" if size is None else str(size) for size in wanted)
            raise ValueError(
                f"`images` must have the shape (n, {shown}), with at least one image. "
                f"Received: {images.shape}. Resize the images, or add the first axis to a single "
                "one with image[None]."
            )
        if images.dtype.kind not in "uif" or (images.dtype.kind in "ui" and images.max() > 255):
            raise ValueError(
                "`images` must hold pixels 0..255; divide 16-bit pixels by 257. "
                f"Received: {images.dtype} with the largest value {images.max()}"
            )
        starts = range(0, len(images), batch_size)
        parts = [self._run(images[i : i + batch_size].astype("float32")) for i in starts]
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


def wrap(model, path=None):
    """A `keras.Model` as a `LoadedModel`."""
    from kvision.export.forms.detectors import class_count, is_detector

    classes = class_count(model) if is_detector(model) else model.output_shape[-1]
    labels = labels_of_run(path, classes) if path else None
    shape = model.input_shape[1:]
    return LoadedModel(lambda images: predict_keras(model, images), "keras", shape, path, labels)


def predict_keras(model, images):
    """Inference outputs of a `keras.Model` as NumPy arrays; of a detector as `predict` gives them.

    The model is called, not `predict`ed: `predict` of a model built for several replicas splits
    the batch among them, and fails where it leaves one of them empty.
    """
    import keras

    from kvision.export.forms import detectors

    outputs = model(keras.ops.convert_to_tensor(images, dtype="float32"), training=False)
    raw = outputs["raw"] if detectors.is_single_shot(model) else None
    if detectors.is_detector(model):
        outputs = detectors.detections(outputs)
    outputs = keras.tree.map_structure(_numbers, outputs)
    if raw is not None:
        scores = detectors.probabilities(_numbers(raw["logits"]))
        outputs["raw"] = {"scores": scores, "offsets": _numbers(raw["offsets"])}
    return outputs


def _numbers(tensor):
    import keras

    if not keras.backend.is_int_dtype(keras.backend.standardize_dtype(tensor.dtype)):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def _open_saved_model(path):
    import tensorflow as tf

    with reading(path, "The SavedModel", "Export the model again, or copy the folder again."):
        archive = tf.saved_model.load(str(path))
        if "serving_default" not in archive.signatures:
            raise ValueError("it must have the signature 'serving_default'")
        serve = archive.signatures["serving_default"]
    inputs = serve.structured_input_signature[1]
    if [spec.shape.rank for spec in inputs.values()] != [4]:
        shapes = [str(spec.shape) for spec in inputs.values()]
        raise ValueError(f"{path} must have one input, an image. Received: inputs {shapes}")
    ((name, spec),) = inputs.items()

    def run(images):
        # `archive` is named here because its variables die with it.
        outputs = archive.signatures["serving_default"](**{name: tf.constant(images)})
        outputs = {key: np.asarray(value) for key, value in outputs.items()}
        whole = {key: value for key, value in outputs.items() if value.dtype.kind in "ui"}
        return _plain({key: np.asarray(outputs[key], "float32") for key in outputs} | whole)

    outputs = list(serve.structured_outputs.values())
    labels = labels_of_run(path, outputs[0].shape[-1] if len(outputs) == 1 else None)
    return LoadedModel(run, "saved_model", spec.shape[1:], path, labels)


def _open_tflite(path, threads):
    report = describe(path)
    if len(report.inputs) != 1 or len(report.inputs[0]["shape"]) != 4:
        shapes = [item["shape"] for item in report.inputs]
        raise ValueError(f"{path} must have one input, an image. Received: inputs {shapes}")
    if abs(report.inputs[0]["shape"][0]) != 1:
        raise ValueError(f"{path} must take one image at a time. Received: {report.inputs[0]}")
    interpreter = open_interpreter(path, threads or min(4, os.cpu_count() or 1))
    prepare = input_converter(report)
    source = interpreter.get_input_details()[0]["index"]
    sinks = named_outputs(interpreter)
    finish = _finish(path, report)

    def run(images):
        rows = []
        for image in prepare(images):
            interpreter.set_tensor(source, image[None])
            interpreter.invoke()
            rows.append({key: real_values(interpreter, detail) for key, detail in sinks.items()})
        return finish(_joined(rows))

    shape = [None if size < 0 else size for size in report.inputs[0]["shape"][1:]]
    return LoadedModel(run, "tflite", shape, path, report.labels)


def _finish(path, report):
    """A function from the outputs of a `.tflite` file to those of its model."""
    if not report.detector:
        return _plain
    if len(report.outputs) == 4:
        return _unpadded
    model, data = read_flatbuffer(path)
    return decoder(report.detector, read_metadata(model, data)["custom"])


def _unpadded(outputs):
    """Detections that an operator padded with anything, padded with class -1."""
    rows = []
    for i, number in enumerate(outputs["number"].ravel().astype(int)):
        boxes, classes, scores = (
            outputs[key][i, :number] for key in ("boxes", "classes", "scores")
        )
        rows.append(padded(np.clip(boxes, 0, 1), classes, scores, outputs["scores"].shape[1]))
    return _joined([{key: value[None] for key, value in row.items()} for row in rows])


def _plain(outputs):
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _joined(parts):
    """Batches of outputs one after the other, however they are nested."""
    if isinstance(parts[0], dict):
        return {key: _joined([part[key] for part in parts]) for key in parts[0]}
    return np.concatenate(parts)
