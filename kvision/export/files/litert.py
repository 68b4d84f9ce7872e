"""TFLite: the model for a phone, converted in a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np

from kvision.export.files.calibration import calibration_images
from kvision.export.files.savedmodel import check_model, check_not_random, export_graph
from kvision.export.forms.detectors import (
    POSTPROCESS,
    check_single_shot,
    class_count,
    detector_settings,
    is_detector,
    is_single_shot,
)
from kvision.export.forms.label_maps import check_scores, is_segmenter
from kvision.export.metadata.contents import describe, output_order
from kvision.export.metadata.detector import build_detector_metadata
from kvision.export.metadata.labels import check_label_count, read_labels
from kvision.export.metadata.tflite import attach, build_metadata
from kvision.files.text import check_path
from kvision.files.writing import writing
from kvision.quiet import is_noise

QUANTIZE = (None, "float16", "dynamic", "int8")


def tflite(
    model,
    path,
    quantize=None,
    *,
    calibration=None,
    labels=None,
    input_shape=None,
    label_map=False,
    postprocess=False,
):
    """Writes a model as a TFLite file for phones: built-in operators only, one image at a time.

    The file takes pixels 0..255, carries its labels and its normalisation as TFLite metadata
    (MediaPipe Tasks and Android Studio read them). Prove it with `kv.export.verify` before it
    ships.

    The conversion runs in a process of its own, because some models make the converter end the
    process. The file appears under its name only when it is complete; if anything fails, an older
    file of that name stays as it was.

    Args:
        model: a `keras.Model` from pixels 0..255 (batch, height, width, channels) to scores, of the
            image or of each pixel, or a detector of one pass (SSDLite). A segmenter's file is one
            for MediaPipe's ImageSegmenter, a detector's one for ObjectDetector.
        path: the file to write; must end in `.tflite`.
        quantize: what becomes smaller than 32-bit floats.
            `None`: nothing. `"float16"`: weights, half the size, the same speed on a CPU.
            `"dynamic"`: weights in 8 bits. `"int8"`: weights and computation in 8 bits, a quarter
            of the size and about twice as fast; the file takes uint8 pixels and gives float32
            scores, so that what reads the scores of a float file reads these.
        calibration: for `"int8"`, a dataset of `(images, labels)` batches or an array of images
            (n, height, width, channels) with pixels 0..255. At most 500 images are used; 100
            are enough.
        labels: class names in the order of the outputs, or the path of a text file with one a
            line.
        input_shape: (height, width, channels) for a model whose input size is open.
        label_map: of a segmenter: whether the file gives the class of each pixel, uint8
            (1, height, width, 1), in place of scores. It is decided on the coarse map before the
            last up-sampling and enlarged as it is: faster and smaller in memory, with coarser
            borders. MediaPipe's ImageSegmenter wants scores.
        postprocess: of a detector: whether the file itself decodes and suppresses its boxes, with
            the operator `TFLite_Detection_PostProcess`, which LiteRT and MediaPipe have beyond the
            built-in ones. Otherwise the file gives the scores and the offsets of its anchors,
            and MediaPipe or `kv.export.load` do the rest, as its metadata say.

    Returns:
        The file, a `pathlib.Path`.

    Raises:
        ValueError: an argument is wrong, the model has an operation that TFLite has no built-in
            operator for, or the converter failed. The message ends with what it said.

    Example:

    ```python
    model = kv.models.LeNet5(classes=3)
    kv.export.tflite(model, "letters.tflite", labels=["a", "b", "c"])
    images = np.random.default_rng(0).integers(0, 256, (100, *model.input_shape[1:]))
    kv.export.tflite(model, "letters_int8.tflite", "int8", calibration=images)
    ```
    """
    path = Path(path)
    if path.suffix != ".tflite":
        raise ValueError(f"`path` must end in '.tflite'. Received: {path}")
    check_path(path)
    if quantize not in QUANTIZE:
        raise ValueError(f"`quantize` must be one of {QUANTIZE}. Received: {quantize!r}")
    check_model(model)
    labels = read_labels(labels)
    answer = _answer(model, label_map, postprocess)
    if labels is not None:
        check_label_count(labels, _classes(model))
    shape = _input_shape(model, input_shape)
    settings = detector_settings(model, shape) if answer in ("raw", "objects") else None
    with writing(path) as partial:
        workspace = partial.parent
        images = calibration_images(calibration, shape) if quantize == "int8" else None
        file = _convert(model, quantize, shape, images, answer, workspace)
        metadata = _metadata(model, file, shape[2], labels, answer, settings)
        own = {"quantize": quantize, "keras": keras.__version__, "kvision": _version()}
        if settings:  # the anchors are in MediaPipe's metadata
            own["detector"] = {key: settings[key] for key in settings if key != "anchors"}
        partial.write_bytes(attach(file.read_bytes(), metadata, own, labels))
        _check_file(describe(partial), quantize)
    return path


def _answer(model, label_map, postprocess):
    """What the file is to give, as `export_graph` takes it."""
    if label_map:
        check_scores(model)
    if is_detector(model):
        check_single_shot(model)
        return "objects" if postprocess else "raw"
    if postprocess:
        raise ValueError(
            "`postprocess=True` is for detectors, which give boxes. "
            f"Received: `{model.name}` with the output shape {model.output_shape}"
        )
    return "labels" if label_map else None


def _metadata(model, file, channels, labels, answer, settings):
    line = f"{model.name}, from pixels 0..255."
    if settings:
        order = output_order(file)
        return build_detector_metadata(model.name, line, channels, order, settings, labels)
    segmenter = None if answer == "labels" else _segmenter_activation(model)
    return build_metadata(model.name, line, channels, labels, segmenter=segmenter)


def _input_shape(model, input_shape):
    own = model.input_shape[1:]
    shape = tuple(input_shape or own)
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"A TFLite file has one input size, and `{model.name}` has {own}. "
            "Pass `input_shape=(height, width, channels)`. "
            f"Received: input_shape={input_shape}"
        )
    if any(size not in (None, wanted) for size, wanted in zip(own, shape, strict=True)):
        raise ValueError(
            f"`input_shape` must agree with the model's own, {own}. Received: {input_shape}"
        )
    return shape


def _classes(model):
    if is_single_shot(model):
        return class_count(model)
    shape = model.output_shape
    if not isinstance(shape, tuple) or shape[-1] is None:
        raise ValueError(
            "`labels` can be written for a model with one output of class scores. "
            f"Received: a model with outputs {shape}. Pass `labels=None`."
        )
    return shape[-1]


def _segmenter_activation(model):
    """What an app must do to the scores of a segmenter; `None` for a classifier."""
    if not is_segmenter(model):
        return None
    last = getattr(model.layers[-1], "activation", None)
    return "softmax" if last in (None, keras.activations.linear) else "none"


def _convert(model, quantize, shape, images, answer, workspace):
    job = {
        "quantize": quantize,
        "input_shape": shape,
        "answer": answer,
        "target": str(workspace / "converted"),
    }
    if images is not None:
        job["calibration"] = str(workspace / "calibration.npy")
        np.save(job["calibration"], images, allow_pickle=False)
    if keras.backend.backend() == "tensorflow":
        job["source"] = str(workspace / "graph")
        folder = workspace / "graph"
        export_graph(model, folder, 1, shape, answer, in_float32=True)
    else:
        # Graphs that come from another backend convert to many more operators: the child builds
        # the model anew under TensorFlow.
        job["source"] = str(workspace / "graph.keras")
        model.save(job["source"])
    (workspace / "job.json").write_text(json.dumps(job), encoding="utf-8")
    _run_child(workspace / "job.json")
    return Path(job["target"])


def _run_child(job):
    environment = {key: value for key, value in os.environ.items() if key != "TF_CONFIG"}
    environment.update(
        KERAS_BACKEND="tensorflow",
        CUDA_VISIBLE_DEVICES="-1",  # the caller's training may hold all of the GPU's memory
        TF_CPP_MIN_LOG_LEVEL="2",
        PYTHONPATH=os.pathsep.join(filter(None, sys.path)),
    )
    script = Path(__file__).with_name("convert_child.py")
    # -P: otherwise this folder's modules would hide others of their names.
    command = [sys.executable, "-P", str(script), str(job)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ValueError(_failure(result.returncode, result.stderr))


def _failure(code, stderr):
    listed = re.findall(r"^(?:TF Select|Flex|Custom) ops: (.+)$", stderr, re.MULTILINE)
    missing = sorted({name for names in listed for name in names.split(", ")})
    check_not_random(missing)
    if missing:
        return _missing(missing)
    ending = f"signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"status {code}"
    lines = [line for line in stderr.splitlines() if not is_noise(line)]
    said = "\n".join(lines[-15:]) or "(nothing)"
    return (
        f"The converter ended with {ending}, and no file was written. If it was int8, try "
        f'quantize="dynamic" or None. It said:\n{said}'
    )


def _missing(operators):
    return (
        "A TFLite file must do with TFLite's built-in operators, and there are none for: "
        f"{', '.join(operators)}. Replace what uses them in the model."
    )


def _check_file(report, quantize):
    check_not_random(report.operators)
    if set(report.custom_operators) - {POSTPROCESS}:
        raise ValueError(_missing(report.custom_operators))
    image = report.inputs[0]
    if quantize == "int8" and (image["dtype"], image["scale"], image["zero_point"]) != (
        "uint8",
        1,
        0,
    ):
        raise ValueError(
            "The input of an int8 file must be uint8 with scale 1 and zero point 0: a pixel must "
            f"mean itself. Received from the converter: {image}"
        )


def _version():
    import kvision

    return kvision.__version__
