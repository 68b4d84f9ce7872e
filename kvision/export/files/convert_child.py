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

FLOAT_OPERATORS = ["SOFTMAX", "STRIDED_SLICE"]


def main():
    """Runs the job named on the command line."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    source = job["source"]
    if source.endswith(".keras"):
        source = _saved_model(source, job["input_shape"], job["answer"])
    converter = tf.lite.TFLiteConverter.from_saved_model(source)
    operators = tf.lite.OpsSet
    converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS]
    converter.allow_custom_ops = job["answer"] == "objects"
    quantize = job["quantize"]
    if quantize is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantize == "int8":
        converter.target_spec.supported_ops = [
            operators.TFLITE_BUILTINS_INT8,
            operators.TFLITE_BUILTINS,
        ]
        converter.inference_input_type = tf.uint8
        images = np.load(job["calibration"], mmap_mode="r", allow_pickle=False)
        converter.representative_dataset = lambda: (
            [np.asarray(image[None], dtype="float32")] for image in images
        )
    wide = quantize == "int8" and job["answer"] in ("raw", "objects")
    Path(job["target"]).write_bytes(_with_float_scores(converter) if wide else converter.convert())


def _with_float_scores(converter):
    """Converts a detector so that its probabilities are computed in floats.

    In 8 bits probabilities have 256 steps of the same width: thousands of anchors then have equal
    scores, and which of them is best is chance. What it takes is one operator in floats, and
    the one that cuts its column of the background off.
    """
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=FLOAT_OPERATORS)
    quantizer = tf.lite.experimental.QuantizationDebugger(
        converter=converter,
        debug_dataset=converter.representative_dataset,
        debug_options=options,
    )
    return _with_uint8_input(quantizer.get_nondebug_quantized_model())


def _with_uint8_input(data):
    """A file that takes uint8 pixels, of one that takes floats and quantizes them at once.

    The quantizer has no `inference_input_type`. The operator that makes int8 of floats makes it of
    uint8 too.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    graph = model.subgraphs[0]
    (image,) = graph.inputs
    users = [operator for operator in graph.operators if image in operator.inputs]
    codes = {model.operatorCodes[operator.opcodeIndex].builtinCode for operator in users}
    if codes == {schema.BuiltinOperator.QUANTIZE}:
        pixels = graph.tensors[image]
        pixels.type = schema.TensorType.UINT8
        pixels.quantization = schema.QuantizationParametersT(scale=[1.0], zeroPoint=[0])
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _saved_model(path, input_shape, answer):
    from kvision.export.files.savedmodel import export_graph
    from kvision.export.runtime import load_keras

    folder = Path(path).with_suffix("")
    model = load_keras(path)
    export_graph(model, folder, 1, input_shape, answer, in_float32=True)
    return str(folder)


if __name__ == "__main__":
    main()
