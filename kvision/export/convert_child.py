"""The conversion itself, in a process of its own: `python convert_child.py job.json`.

Some models make TensorFlow's converter end the process, and it may take gigabytes; neither may
happen to the process that holds a training's results. The job file names a SavedModel folder (or,
from another backend than TensorFlow, a `.keras` file), the file to write, the quantisation and
the calibration images.
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf


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
    Path(job["target"]).write_bytes(converter.convert())


def _saved_model(path, input_shape, answer):
    from kvision.export.runtime import load_keras
    from kvision.export.savedmodel import export_graph

    folder = Path(path).with_suffix("")
    model = load_keras(path)
    export_graph(model, folder, batch_size=1, input_shape=input_shape, answer=answer)
    return str(folder)


if __name__ == "__main__":
    main()
