"""What the files of each task are: one module a task, found by its name.

A module must have:

    could_be(inputs, outputs)   whether a model of these inputs and outputs could be of the task:
                                each is a `Spec` (shape with the batch, dtype), or a dict of them
    LIMITS                      by quantisation (`None`, `"float16"`, `"bfloat16"`, `"dynamic"`,
                                `"int8"`), what a file may differ: a dict of `max_difference` and
                                `metric_drop`, either or both; the drop in points of a metric in
                                percent, else in the metric's unit
    tally(report)               what adds up the batches of a proof and then gives figures: a
                                `kvision.export.proof.differences.Differences`; `report` describes
                                the file

It may have what is defined below, which holds of a task that has none, and of files of no known
task. A file is opened without Keras and TensorFlow, so a module imports what needs them, such as
layers and ops, within its functions.
"""

import functools
import importlib
import types

from kvision import tasks

FORMS = {}  # arguments of `kv.export.tflite` that give files of another form: what they are for
OPERATORS = ()  # custom operators that files may have
FLOAT_OPERATORS = ()  # operators that compute in floats in an int8 file
UNLIKE = "of the outputs differ by more than 0.0001"  # what a share of differences is of


def part_of(task):
    """Returns the functions and constants for files of a task, as a namespace.

    Args:
        task: a `Task`, or `None` for files of no known task.
    """
    return completed(tasks.part("export.tasks", task.name)) if task else completed(None)


def completed(module):
    """Returns the functions and constants of a module, and of this one those that it lacks.

    Args:
        module: a module, its full name, or `None`.
    """
    if isinstance(module, str):
        module = importlib.import_module(module)
    return types.SimpleNamespace(**{**globals(), **(vars(module) if module else {})})


def check_model(model, form):
    """Raises `ValueError` where no TFLite file of that form can be written of a model."""


def graph(model, form, input_shape):
    """Returns what a file computes.

    Args:
        model: a `keras.Model`.
        form: one of `FORMS`, `"saved_model"`, or `None` for a TFLite file as usual.
        input_shape: of the input without the batch; of several a dict of them.

    Returns:
        A pair: the model whose weights are used, and a TensorFlow function of its inputs.
    """
    # Not `model.export`: it leaves `training` open, and Keras's augmentation layers then act.
    return model, functools.partial(model.__call__, training=False)


def class_count(model):
    """Returns how many classes a model's labels name; `None` where there are none to be named."""
    shape = model.output_shape
    return shape[-1] if isinstance(shape, tuple) else None


def metadata(model, file, form, inputs, labels):
    """Returns what a TFLite file says of itself.

    Args:
        model: the `keras.Model`.
        file: the path of the file, which has no metadata yet.
        form: one of `FORMS`, or `None`.
        inputs: `{name: shape without the batch}`, in the order that they have in the file.
        labels: class names, or `None`.

    Returns:
        A pair: the bytes of the metadata flatbuffer, and a dict of JSON values that `finish` needs,
        readable as `kv.export.describe(path).settings`.
    """
    from kvision.export.metadata.contents import output_order
    from kvision.export.metadata.tflite import build_metadata

    return build_metadata(model.name, inputs, output_order(file), labels), {}


def answers(outputs):
    """Returns what `kv.export.load(path).predict` gives of a Keras model's outputs, as arrays."""
    return outputs


def finish(report):
    """Returns a function from the outputs of a TFLite file, by name, to those of its model.

    Args:
        report: `kv.export.describe` of the file.
    """
    return lambda outputs: next(iter(outputs.values())) if len(outputs) == 1 else outputs


def check(wanted, truth):
    """Raises `ValueError` unless the truth of a batch is what such outputs are judged by."""
    if isinstance(truth, dict):
        raise ValueError(
            "`dataset` must give (images, labels), where labels are one array: a dict of 'boxes' "
            f"and 'classes' is for detectors. Received: a dict of {sorted(truth)}"
        )


def fits(received, wanted):
    """Whether the outputs of a file have the shapes that the model's have."""
    if isinstance(wanted, dict):
        return (
            isinstance(received, dict)
            and received.keys() == wanted.keys()
            and all(fits(received[key], wanted[key]) for key in wanted)
        )
    return not isinstance(received, dict) and received.shape == wanted.shape


def limits(usual, tally, quantize, rounds):
    """Returns what a file may differ, where its form asks for other limits.

    Args:
        usual: a dict of `LIMITS`.
        tally: of all examples.
        quantize: of the file.
        rounds: `"bfloat16"` or `"float16"` where the model itself computes in it, else `None`.
    """
    return usual
