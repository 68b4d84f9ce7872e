import os
import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

import kvision as kv
from kvision.export.files import litert, savedmodel

QUANTIZATIONS = ["float32", "float16", "dynamic", "int8"]


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_file_has_builtin_operators_and_one_image_at_a_time(kind, exported):
    report = kv.export.describe(exported(kind))
    assert report.quantize == (None if kind == "float32" else kind)
    assert report.operators["CONV_2D"] == 3
    assert not report.flex_operators
    assert not report.custom_operators
    assert not report.random_operators
    assert report.static_batch
    assert report.inputs[0]["shape"] == [1, 32, 32, 3]
    assert report.outputs[0]["shape"] == [1, 10]
    assert report.outputs[0]["dtype"] == "float32"


def test_quantisation_makes_files_smaller(exported):
    # The last layers of this net are too small to be quantised, and metadata take their place too.
    size = {kind: exported(kind).stat().st_size for kind in QUANTIZATIONS}
    assert size["float16"] < 0.6 * size["float32"]
    assert size["dynamic"] < 0.4 * size["float32"]
    assert size["int8"] < 0.4 * size["float32"]


def test_uint8_pixel_means_itself_though_calibrated_on_dim_images(exported, digits):
    assert digits.train.min() == 20
    assert digits.train.max() == 220
    image = kv.export.describe(exported("int8")).inputs[0]
    assert (image["dtype"], image["scale"], image["zero_point"]) == ("uint8", 1.0, 0)


def test_int8_computes_in_int8(exported):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(exported("int8")))
    types = [np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()]
    assert types.count("float32") == 1  # the scores


def test_weights_are_aligned_for_kernels(exported):
    from ai_edge_litert import schema_py_generated as schema

    data = exported("int8").read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    start = np.frombuffer(data, "uint8").__array_interface__["data"][0]
    checked = 0
    for i in range(model.BuffersLength()):
        if not model.Buffers(i).DataIsNone() and model.Buffers(i).DataLength():
            values = model.Buffers(i).DataAsNumpy()
            assert (values.__array_interface__["data"][0] - start) % 16 == 0
            checked += 1
    assert checked > 8


def test_labels_are_in_the_file_and_beside_it(exported, names):
    path = exported("int8")
    assert kv.export.describe(path).labels == names
    assert not (path.parent / "labels.txt").exists()  # it belongs to the file
    assert not list(path.parent.glob(".*"))


def test_model_of_mixed_precision_and_open_size(tmp_path, digits):
    # With the size open and float16 inside, the file needs both `input_shape` and a float32 copy.
    image = keras.Input((None, None, 3))
    x = layers.Rescaling(1 / 255, dtype="mixed_float16")(image)
    x = layers.Conv2D(8, 3, activation="relu", dtype="mixed_float16")(x)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    scores = layers.Dense(10, activation="softmax", dtype="float32")(x)
    model = keras.Model(image, scores)
    assert model.layers[2].compute_dtype == "float16"

    with pytest.raises(ValueError, match=r"Pass `input_shape=\(height, width, channels\)`"):
        kv.export.tflite(model, tmp_path / "a.tflite")
    with pytest.raises(ValueError, match="must agree with the model's own"):
        kv.export.tflite(model, tmp_path / "a.tflite", input_shape=(32, 32, 1))

    path = kv.export.tflite(model, tmp_path / "a.tflite", input_shape=(32, 32, 3))
    report = kv.export.verify(model, path, digits.batches(count=32))
    assert report.passed, report.reasons
    assert "CAST" not in report.operators


def test_model_built_for_two_replicas(tmp_path, build_tiny, digits):
    import tensorflow as tf

    with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        model = build_tiny()
    path = kv.export.tflite(model, tmp_path / "model.tflite")
    report = kv.export.verify(model, path, digits.batches(size=33, count=67))
    assert report.passed, report.reasons
    assert report.samples == 67


def test_crash_of_the_converter_is_reported(tmp_path):
    # A while loop in int8 ends TensorFlow's converter with a segmentation fault.
    image = keras.Input((8, 8, 3))
    x = layers.LSTM(8)(layers.Reshape((8, 24))(image))
    model = keras.Model(image, layers.Dense(3, activation="softmax")(x))
    older = tmp_path / "model.tflite"
    older.write_bytes(b"an older file")
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3))
    with pytest.raises(ValueError, match=r"converter ended with signal 11 \(SIGSEGV\)"):
        kv.export.tflite(model, older, "int8", calibration=images, labels=["a", "b", "c"])
    assert older.read_bytes() == b"an older file"
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]


def test_operation_without_builtin_is_named(tmp_path, flex_model):
    with pytest.raises(ValueError, match="there are none for: BitwiseAnd"):
        kv.export.tflite(flex_model, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable("kvision_tests")
class AlwaysNoisy(layers.Layer):
    def call(self, x):
        return x + keras.random.normal((1, 192))


def test_random_layer_that_stays_active_is_refused(tmp_path):
    image = keras.Input((8, 8, 3))
    x = AlwaysNoisy()(layers.Flatten()(image))
    model = keras.Model(image, layers.Dense(3)(x))
    for export, name in ((kv.export.tflite, "m.tflite"), (kv.export.saved_model, "m")):
        with pytest.raises(ValueError, match="same output for the same pixels"):
            export(model, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_wrong_arguments(tmp_path, tiny, digits):
    path = tmp_path / "model.tflite"
    with pytest.raises(ValueError, match=r"must end in '.tflite'. Received: .*model.lite"):
        kv.export.tflite(tiny, tmp_path / "model.lite")
    with pytest.raises(ValueError, match="`quantize` must be one of .* Received: 'int4'"):
        kv.export.tflite(tiny, path, "int4")
    with pytest.raises(ValueError, match="`model` must be a keras.Model. Received: 'model.keras'"):
        kv.export.tflite("model.keras", path)
    with pytest.raises(ValueError, match="must be built and take one batch of images"):
        kv.export.tflite(keras.Sequential([layers.Dense(2)]), path)
    with pytest.raises(ValueError, match="model's 10 outputs. Received: 2 names"):
        kv.export.tflite(tiny, path, labels=["a", "b"])
    with pytest.raises(ValueError, match='quantize="int8" needs `calibration`'):
        kv.export.tflite(tiny, path, "int8")
    two = [keras.Input((8, 8, 3)), keras.Input((8, 8, 3))]
    with pytest.raises(ValueError, match="take one batch of images"):
        kv.export.tflite(keras.Model(two, layers.Add()(two)), path)
    image = keras.Input((8, 8, 3))
    several = keras.Model(image, {"a": layers.Flatten()(image), "b": layers.ReLU()(image)})
    with pytest.raises(ValueError, match="one output of class scores"):
        kv.export.tflite(several, path, labels=["a", "b"])
    assert not list(tmp_path.iterdir())


def test_check_of_the_input_of_an_int8_file(monkeypatch, tmp_path, tiny, exported, digits):
    # Stands in for a converter that learns the input's range from dim images alone.
    import kvision.export.files.litert as litert

    def dim(calibration, input_shape):
        return {"image": np.full((1, *input_shape), 100, "uint8")}

    monkeypatch.setattr(litert, "calibration_inputs", dim)
    with pytest.raises(ValueError, match="must be uint8 with scale 1 and zero point 0"):
        kv.export.tflite(tiny, tmp_path / "m.tflite", "int8", calibration=digits.train[:10])
    assert not list(tmp_path.iterdir())


def test_one_graph_for_several_files(tmp_path, monkeypatch):
    image = keras.Input((8, 8, 3))
    scores = keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(image))
    model, other = (keras.Model(image, scores, name=name) for name in ("one", "other"))
    written = []

    def counted(model, *args, **kwargs):
        written.append(model.name)
        return savedmodel.export_graph(model, *args, **kwargs)

    monkeypatch.setattr(litert, "export_graph", counted)

    def files():
        kinds = (None, "dynamic")
        paths = [kv.export.tflite(model, tmp_path / f"{kind}.tflite", kind) for kind in kinds]
        return [path.read_bytes() for path in paths]

    alone = files()
    assert written == ["one", "one"]
    with litert.one_graph(model):
        assert files() == alone
        kv.export.tflite(other, tmp_path / "other.tflite")
    assert written[2:] == ["one", "other"]


@pytest.mark.slow
def test_model_of_the_jax_backend(tmp_path):
    # The child builds it anew under TensorFlow, so batch norm is folded into the convolutions.
    code = f"""
        import keras, numpy as np, kvision as kv
        from keras import layers
        assert keras.backend.backend() == "jax"
        x = image = keras.Input((16, 16, 3))
        for _ in range(2):
            x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))
        x = layers.GlobalAveragePooling2D()(x)
        model = keras.Model(image, layers.Dense(4, activation="softmax")(x))
        path = kv.export.tflite(model, {str(tmp_path / "m.tflite")!r})
        images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3))
        report = kv.export.verify(model, path, [(images, np.zeros(8))])
        assert report.passed, report
        assert sum(report.operators.values()) <= 6, report.operators
    """
    environment = {**os.environ, "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "-1"}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
