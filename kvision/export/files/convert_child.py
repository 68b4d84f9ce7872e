"""The conversion itself, in a process of its own: `python convert_child.py job.json`.

Some models make TensorFlow's converter end the process, and it may take gigabytes; neither may
happen to the process that holds a training's results. The job file names a SavedModel folder (or,
from another backend than TensorFlow, a `.keras` file), the file to write, the quantisation and
the calibration images.
"""

import json
import sys
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf


def main():
    """Runs the job named on the command line."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
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
