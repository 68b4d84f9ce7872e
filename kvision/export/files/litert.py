"""TFLite: the model for a phone, converted in a process of its own."""

import contextlib
import contextvars
import hashlib
import json
import re
import signal
import tempfile
from pathlib import Path

import keras
import numpy as np

from kvision import tasks
from kvision.export.files import converter
from kvision.export.files.calibration import calibration_inputs
from kvision.export.files.checks import check_model, check_not_random, input_shapes
from kvision.export.files.savedmodel import export_graph
from kvision.export.metadata.contents import describe, input_order
from kvision.export.metadata.labels import check_label_count, read_labels
from kvision.export.metadata.tflite import attach
from kvision.export.settling import find_task
from kvision.export.specs import output_specs, text_of
from kvision.export.tasks import part_of
from kvision.files.text import check_path
from kvision.files.writing import writing
from kvision.quiet import is_noise

_shared = contextvars.ContextVar("the model whose graph is kept, and where", default=(None, None))

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
    task=None,
):
    """Writes a model as a TFLite file for phones: built-in operators only, one image at a time.

    The file takes pixels 0..255, carries its labels and its normalisation as TFLite metadata
    (MediaPipe Tasks and Android Studio read them). Prove it with `kv.export.verify` before it
    ships.

    The conversion runs in a process of its own, because some models make the converter end the
    process; it stays for the next conversions, and ends after two minutes without one. The file
    appears under its name only when it is complete; if anything fails, an older file of that name
    stays as it was.

    Args:
        model: a `keras.Model` from pixels 0..255 (batch, height, width, channels) to scores, of the
            image or of each pixel, or a detector of one pass (SSDLite). A segmenter's file is one
            for MediaPipe's ImageSegmenter, a detector's one for ObjectDetector. A model of several
            inputs takes a dict of them, and so does its file, by their names; inputs without three
            axes take numbers as they are.
        path: the file to write; must end in `.tflite`.
        quantize: what becomes smaller than 32-bit floats.
            `None`: nothing. `"float16"`: weights, half the size, the same speed on a CPU.
            `"dynamic"`: weights in 8 bits. `"int8"`: weights and computation in 8 bits, a quarter
            of the size and about twice as fast; the file takes uint8 pixels and gives float32
            scores, so that what reads the scores of a float file reads these.
        calibration: for `"int8"`, a dataset of `(images, labels)` batches or an array of images
            (n, height, width, channels) with pixels 0..255; of several inputs dicts of arrays. At
            most 500 images are used; 100 are enough.
        labels: class names in the order of the outputs, or the path of a text file with one a
            line.
        input_shape: (height, width, channels) for a model whose input size is open; of several
            inputs a dict.
        label_map: of a segmenter: whether the file gives the class of each pixel, uint8
            (1, height, width, 1), in place of scores. It is decided on the coarse map before the
            last up-sampling and enlarged as it is: faster and smaller in memory, with coarser
            borders. MediaPipe's ImageSegmenter wants scores.
        postprocess: of a detector: whether the file itself decodes and suppresses its boxes, with
            the operator `TFLite_Detection_PostProcess`, which LiteRT and MediaPipe have beyond the
            built-in ones. Otherwise the file gives the scores and the offsets of its anchors,
            and MediaPipe or `kv.export.load` do the rest, as its metadata say.
        task: the name of the model's task, where neither its builder nor its outputs say it. It is
            written into the file: `kv.export.load(path).task`.

    Returns:
        The file, a `pathlib.Path`.

    Raises:
        ValueError: an argument is wrong, the model could be of several tasks, it has an operation
            that TFLite has no built-in operator for, or the converter failed. The message ends with
            what it said.

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
    task = find_task(model, task)
    part = part_of(task)
    form = _form(model, part, label_map=label_map, postprocess=postprocess)
    part.check_model(model, form)
    if labels is not None:
        check_label_count(labels, _classes(model, part))
    shapes = input_shapes(model, input_shape)
    with writing(path) as partial:
        workspace = partial.parent.resolve()  # the process that converts may be elsewhere
        examples = calibration_inputs(calibration, shapes) if quantize == "int8" else {}
        file = _convert(model, quantize, shapes, examples, part, form, workspace)
        metadata, settings = part.metadata(model, file, form, _inputs(file, shapes, task), labels)
        own = {"quantize": quantize, "keras": keras.__version__, "kvision": _version()}
        own |= {"task": task.name} if task else {}
        own |= {"settings": settings} if settings else {}
        partial.write_bytes(attach(file.read_bytes(), metadata, own, labels))
        _check_file(describe(partial), quantize, part)
    return path


def _form(model, part, **options):
    """The option that is asked for, if any, which the model's task must know."""
    asked = [option for option, wanted in options.items() if wanted]
    for option in asked:
        if option not in part.FORMS:
            forms = [tasks.part("export.tasks", name) for name in tasks.names()]
            forms = [each.FORMS[option] for each in forms if option in getattr(each, "FORMS", ())]
            raise ValueError(
                f"`{option}=True` is for {' or '.join(forms)}. Received: `{model.name}` with "
                f"outputs {text_of(output_specs(model))}"
            )
    return asked[0] if asked else None


def _inputs(file, shapes, task):
    """`{name: shape}` in the order of a file's inputs."""
    if isinstance(shapes, dict):
        return {name: shapes[name] for name in input_order(file)}
    return {task.inputs[0] if task else "image": shapes}


def _classes(model, part):
    count = part.class_count(model)
    if count is None:
        raise ValueError(
            "`labels` can be written for a model with one output of class scores. Received: a "
            f"model with outputs {text_of(output_specs(model))}. Pass `labels=None`."
        )
    return count


def _convert(model, quantize, shapes, examples, part, form, workspace):
    job = {
        "quantize": quantize,
        "input_shape": shapes,
        "task": part.__name__,
        "form": form,
        "custom": bool(part.OPERATORS) and form is not None,
        "floats": list(part.FLOAT_OPERATORS),
        "target": str(workspace / "converted"),
        "calibration": {},
    }
    converter.start()  # it gets ready while the graph is written
    for number, (name, values) in enumerate(examples.items()):
        file = workspace / f"calibration_{number}.npy"
        np.save(file, values, allow_pickle=False)
        job["calibration"][name] = str(file)
    if keras.backend.backend() == "tensorflow":
        job["source"] = str(_graph(model, part, form, shapes, workspace))
    else:
        # Graphs that come from another backend convert to many more operators: the child builds
        # the model anew under TensorFlow.
        job["source"] = str(workspace / "graph.keras")
        model.save(job["source"])
    (workspace / "job.json").write_text(json.dumps(job), encoding="utf-8")
    code, said = converter.run(workspace / "job.json")
    if code != 0:
        raise ValueError(_failure(code, said))
    return Path(job["target"])


@contextlib.contextmanager
def one_graph(model):
    """Writes the graph of a model once for all the files that are made of it in this context.

    Nothing may change the model there.
    """
    with tempfile.TemporaryDirectory(prefix="kvision-") as folder:
        token = _shared.set((model, Path(folder)))
        try:
            yield
        finally:
            _shared.reset(token)


def _graph(model, part, form, shapes, workspace):
    """The folder with the graph that the converter reads."""
    shared, folder = _shared.get()
    if shared is not model:
        folder = workspace
    kind = hashlib.sha256(repr((part.__name__, form, shapes)).encode()).hexdigest()
    folder = folder / f"graph-{kind[:16]}"
    if not folder.exists():
        with writing(folder) as partial:
            export_graph(model, partial, 1, part, form, shapes, in_float32=True)
    return folder


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


def _check_file(report, quantize, part):
    check_not_random(report.operators)
    if set(report.custom_operators) - set(part.OPERATORS):
        raise ValueError(_missing(report.custom_operators))
    for image in report.inputs:
        is_pixels = (image["dtype"], image["scale"], image["zero_point"]) == ("uint8", 1, 0)
        if quantize == "int8" and len(image["shape"]) == 4 and not is_pixels:
            raise ValueError(
                "The input of an int8 file must be uint8 with scale 1 and zero point 0: a pixel "
                f"must mean itself. Received from the converter: {image}"
            )


def _version():
    import kvision

    return kvision.__version__
