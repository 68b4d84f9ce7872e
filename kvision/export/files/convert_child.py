"""The conversion itself, in a process of its own, which `converter.py` starts and asks.

Some models make TensorFlow's converter end the process, and it may take gigabytes; neither may
happen to the process that holds a training's results. A line of standard input names a job and
where to write what it says; a line of standard output answers with its exit status. The job's file
names a SavedModel folder (or, from another backend than TensorFlow, a `.keras` file), the file to
write, the quantisation and the calibration images.

Where a process can be forked safely, each job has a fork of this one to itself: what it breaks is
broken for it alone, and it finds TensorFlow loaded.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf

IDLE = 120  # seconds without a job, after which the process ends and gives its memory back


def main():
    """Runs jobs until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # who asked says that it was interrupted
    sys.stdin.reconfigure(encoding="utf-8")
    forks = _can_fork()
    gc.freeze()  # what is loaded stays: who looks for garbage would copy it into every fork
    while not forks or select.select([sys.stdin], [], [], IDLE)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        print((_forked if forks else _here)(*json.loads(line)), flush=True)


def _can_fork():
    """A lock that another thread holds would stay locked in a fork for ever."""
    return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1


def _forked(job, said):
    process = os.fork()
    if not process:
        os._exit(_here(job, said))
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _here(job, said):
    """Runs a job in this process. Everything that it prints, C++'s too, goes to the file `said`."""
    usual = [os.dup(stream) for stream in (1, 2)]
    with open(said, "wb") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
        try:
            convert(json.loads(Path(job).read_text(encoding="utf-8")))
            return 0
        except Exception:
            os.write(2, traceback.format_exc().encode())
            return 1
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, descriptor in zip((1, 2), usual, strict=True):
                os.dup2(descriptor, stream)
                os.close(descriptor)


def convert(job):
    """Converts as a job says, a dict."""
    source = job["source"]
    if source.endswith(".keras"):
        source = _saved_model(source, job)
    converter = tf.lite.TFLiteConverter.from_saved_model(source)
    operators = tf.lite.OpsSet
    converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS]
    converter.allow_custom_ops = job["custom"]
    quantize = job["quantize"]
    if quantize is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize != "int8":
        data = converter.convert()
    else:
        converter.target_spec.supported_ops = [
            operators.TFLITE_BUILTINS_INT8,
            operators.TFLITE_BUILTINS,
        ]
        data = _in_int8(converter, job)
    Path(job["target"]).write_bytes(data)


def _in_int8(converter, job):
    examples = {
        name: np.load(file, mmap_mode="r", allow_pickle=False)
        for name, file in job["calibration"].items()
    }
    converter.representative_dataset = lambda: _examples(examples)
    if job["floats"]:
        return _with_uint8_images(_with_floats(converter, job["floats"]))
    if all(values.ndim == 4 for values in examples.values()):
        converter.inference_input_type = tf.uint8
        return converter.convert()
    return _with_uint8_images(converter.convert())  # other inputs stay the numbers that they are


def _examples(arrays):
    """One example after the other, as the converter takes them; pixels as floats."""
    for rows in zip(*arrays.values(), strict=True):
        rows = [np.asarray(row[None]) for row in rows]
        rows = [row.astype("float32") if row.dtype.kind in "fu" else row for row in rows]
        yield rows if len(rows) == 1 else dict(zip(arrays, rows, strict=True))


def _with_floats(converter, operators):
    """Converts a model so that some of its operators compute in floats."""
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=operators)
    quantizer = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=converter.representative_dataset,
        debug_options=options,
    )
    return quantizer.get_nondebug_quantized_model()


def _with_uint8_images(data):
    """A file that takes uint8 pixels, of one that takes floats and quantizes them at once.

    The quantizer has no `inference_input_type`. The operator that makes int8 of floats makes it of
    uint8 too.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    for image in graph.inputs:
        pixels = graph.tensors[image]
        users = [operator for operator in graph.operators if image in operator.inputs]
        codes = {model.operatorCodes[operator.opcodeIndex].builtinCode for operator in users}
        if len(pixels.shape) == 4 and codes == {schema.BuiltinOperator.QUANTIZE}:
            pixels.type = schema.TensorType.UINT8
            pixels.quantization = schema.QuantizationParametersT(scale=[1.0], zeroPoint=[0])
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _saved_model(path, job):
    from kvision.export.files.savedmodel import export_graph
    from kvision.export.runtime import load_keras
    from kvision.export.tasks import completed

    folder = Path(path).with_suffix("")
    part, shapes = completed(job["task"]), job["input_shape"]
    export_graph(load_keras(path), folder, 1, part, job["form"], shapes, in_float32=True)
    return str(folder)


if __name__ == "__main__":
    main()
