import subprocess
import sys
import textwrap
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import kvision as kv
from kvision.export.metadata.tflite import attach, build_metadata

KINDS = {
    "keras": "keras",
    "saved_model": "saved_model",
    "float32": "tflite",
    "float16": "tflite",
    "dynamic": "tflite",
    "int8": "tflite",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_the_same_model(kind, exported, tiny, digits, names):
    model = kv.export.load(exported(kind))
    assert model.kind == KINDS[kind]
    assert model.input_shape == (32, 32, 3)
    assert model.labels == (names if KINDS[kind] == "tflite" else None)  # inside the file
    scores = model.predict(digits.test[:40])
    assert scores.dtype == np.float32
    assert scores.shape == (40, 10)
    wanted = tiny.predict(digits.test[:40].astype("float32"), verbose=0)
    limit = {"int8": 0.2, "dynamic": 0.1, "float16": 0.02}.get(kind, 1e-5)
    assert np.abs(scores - wanted).max() < limit
    assert "input_shape=(32, 32, 3)" in repr(model)


@pytest.mark.parametrize("kind", ["keras", "saved_model", "float32", "int8"])
def test_integers_floats_and_batch_sizes_give_the_same(kind, exported, digits):
    model = kv.export.load(str(exported(kind)))
    images = digits.test[:7]
    whole = model.predict(images)
    for other in (
        model.predict(images.astype("float64")),
        model.predict(images.astype("int64"), batch_size=3),
        np.concatenate([model.predict(image[None]) for image in images]),
    ):
        np.testing.assert_allclose(other, whole, atol=1e-6)


def test_uint8_file_rounds_and_clips_pixels(exported, digits):
    model = kv.export.load(exported("int8"))
    images = np.clip(digits.test[:5].astype("float32") * 2 - 100, 0, 255).round()
    wanted = model.predict(images)
    outside = np.where(images == 0, -7.0, np.where(images == 255, 300.0, images + 0.4))
    np.testing.assert_array_equal(model.predict(outside), wanted)


def test_run_folder_is_its_keras_model(exported, tmp_path):
    exported("keras")
    assert kv.export.load(exported("float32").parent).kind == "keras"
    (tmp_path / "model.tflite").write_bytes(exported("float32").read_bytes())
    assert kv.export.load(tmp_path).path == tmp_path / "model.tflite"


def test_keras_model_of_a_run(exported, tiny):
    for path in (exported("keras"), exported("keras").parent):
        model = kv.export.load_keras(path)
        assert isinstance(model, keras.Model)
        for ours, theirs in zip(model.get_weights(), tiny.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(ValueError, match="`.keras` file or a run folder with one in it"):
        kv.export.load_keras(exported("float32"))


def test_layers_of_kvision_are_known(tmp_path):
    kv.models.LeNet5(variant="1998").save(tmp_path / "model.keras")
    code = f"import kvision as kv; kv.export.load({str(tmp_path)!r})"
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def test_opening_a_tflite_file_imports_no_tensorflow(exported):
    code = f"""
        import sys
        import numpy as np
        import kvision as kv
        path = {str(exported("int8"))!r}
        scores = kv.export.load(path).predict(np.zeros((1, 32, 32, 3)))
        kv.export.benchmark(path, runs=2)
        kv.export.describe(path)
        assert abs(scores.sum() - 1) < 0.05
        assert not {{"tensorflow", "keras", "jax"}} & set(sys.modules)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]


def _many_outputs():
    # The converter sorts its outputs' names as text: with ten and more, 10 comes before 2.
    image = keras.Input((8, 8, 3))
    x = layers.Flatten()(layers.Rescaling(1 / 255)(image))
    return keras.Model(image, {f"level_{i:02}": layers.Dense(2)(x) for i in range(12)})


def test_several_outputs_keep_their_names(tmp_path):
    model = _many_outputs()
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype("float32")
    wanted = {key: np.asarray(value) for key, value in model(images).items()}
    for path in (
        kv.export.saved_model(model, tmp_path / "saved_model"),
        kv.export.tflite(model, tmp_path / "model.tflite"),
    ):
        received = kv.export.load(path).predict(images, batch_size=2)
        assert sorted(received) == sorted(wanted)
        for key, value in wanted.items():
            np.testing.assert_allclose(received[key], value, atol=1e-5)


def test_int8_pixels_of_a_file_of_others(tiny, convert, tmp_path, digits):
    import tensorflow as tf

    path = convert(
        tiny,
        tmp_path / "other.tflite",
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: ([x[None].astype("float32")] for x in digits.train[:50]),
        supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8],
        inference_input_type=tf.int8,
        inference_output_type=tf.int8,
    )
    report = kv.export.describe(path)
    assert (report.inputs[0]["dtype"], report.outputs[0]["dtype"]) == ("int8", "int8")
    assert report.quantize == "int8"
    scores = kv.export.load(path).predict(digits.test[:40])
    wanted = tiny.predict(digits.test[:40].astype("float32"), verbose=0)
    assert (scores.argmax(1) == wanted.argmax(1)).mean() > 0.9
    assert np.abs(scores - wanted).max() < 0.2


def test_normalisation_in_the_metadata_is_applied(exported, tmp_path, digits):
    data = exported("float32").read_bytes()
    path = tmp_path / "other.tflite"
    metadata = build_metadata("other", {"image": (32, 32, 1)}, ["scores"], mean=-10.0, std=2.0)
    path.write_bytes(attach(data, metadata, {}))
    images = digits.test[:4].astype("float32")
    received = kv.export.load(path).predict(images)
    wanted = kv.export.load(exported("float32")).predict((images + 10) / 2)
    np.testing.assert_allclose(received, wanted, atol=1e-6)


def test_wrong_images(exported):
    model = kv.export.load(exported("float32"))
    for shape in [(32, 32, 3), (1, 32, 32, 1), (1, 31, 32, 3), (0, 32, 32, 3)]:
        with pytest.raises(ValueError, match=r"must have the shape \(n, 32, 32, 3\)"):
            model.predict(np.zeros(shape))
    with pytest.raises(ValueError, match="divide 16-bit pixels by 257. Received: uint16 .* 65535"):
        model.predict(np.full((1, 32, 32, 3), 65535, "uint16"))
    with pytest.raises(ValueError, match="must hold pixels 0..255"):
        model.predict(np.zeros((1, 32, 32, 3), bool))


def test_missing_and_unknown_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no model at .*absent"):
        kv.export.load(tmp_path / "absent.tflite")
    with pytest.raises(ValueError, match="A folder must be a SavedModel .* or a run"):
        kv.export.load(tmp_path)
    (tmp_path / "model.h5").write_bytes(b"x")
    with pytest.raises(ValueError, match="A model must be a `.keras` file"):
        kv.export.load(tmp_path / "model.h5")


def test_damaged_files(tmp_path):
    for name, message in (
        ("a.keras", "The Keras model .* cannot be read"),
        ("a.tflite", "is not a TFLite file"),
    ):
        (tmp_path / name).write_bytes(b"not a model at all")
        with pytest.raises(ValueError, match=message):
            kv.export.load(tmp_path / name)
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"not a model at all")
    with pytest.raises(ValueError, match="The SavedModel .*saved cannot be read"):
        kv.export.load(tmp_path / "saved")


def test_a_saved_model_whose_variables_were_cut_short(tmp_path):
    image = keras.Input((8, 8, 1))
    model = keras.Model(image, layers.Dense(200)(layers.Flatten()(image)))
    folder = kv.export.saved_model(model, tmp_path / "saved")
    (variables,) = folder.glob("variables/*.data*")
    variables.write_bytes(variables.read_bytes()[:999])
    with pytest.raises(ValueError, match="The SavedModel .*saved cannot be read"):
        kv.export.load(folder)


def test_a_saved_model_of_others_with_two_inputs(tmp_path):
    images = {name: keras.Input((8, 8, 1), name=name) for name in ("left", "right")}
    model = keras.Model(images, layers.Subtract()([images["left"], images["right"]]))
    model.export(tmp_path / "two", verbose=False)
    given = {"left": np.full((3, 8, 8, 1), 7, "uint8"), "right": np.full((3, 8, 8, 1), 2, "uint8")}
    loaded = kv.export.load(tmp_path / "two")
    assert loaded.input_shape == {"left": (8, 8, 1), "right": (8, 8, 1)}
    np.testing.assert_array_equal(loaded.predict(given), np.full((3, 8, 8, 1), 5.0))
    with pytest.raises(ValueError, match="left.*right"):
        loaded.predict(given["left"])


def test_a_saved_model_that_does_not_serve(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "none"))
    with pytest.raises(ValueError, match="must have the signature 'serving_default'"):
        kv.export.load(tmp_path / "none")


def test_flex_file_is_not_run(flex_file):
    with pytest.raises(ValueError, match="LiteRT cannot run .*not supported"):
        kv.export.load(flex_file)


def test_a_file_that_takes_a_vector(convert, tmp_path):
    vector = keras.Input((6,))
    model = keras.Model(vector, layers.Dense(2)(vector))
    loaded = kv.export.load(convert(model, tmp_path / "vector.tflite"))
    assert loaded.input_shape == (6,)
    vectors = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    np.testing.assert_allclose(loaded.predict(vectors), model(vectors), atol=1e-5)
    with pytest.raises(ValueError, match=r"must have the shape \(n, 6\)"):
        loaded.predict(np.zeros((3, 5)))


def test_a_file_that_takes_several_images_at_a_time(convert, tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, layers.Flatten()(image))
    path = convert(model, tmp_path / "batch.tflite", batch_size=2)
    with pytest.raises(ValueError, match="must take one image at a time"):
        kv.export.load(path)


def test_input_of_an_unknown_type():
    from kvision.export.interpreter import input_converter

    tensor = {"dtype": "int64", "shape": [1, 8, 8, 1], "scale": None}
    report = kv.export.Report(path="a.tflite", inputs=[tensor], mean=None, std=None)
    with pytest.raises(ValueError, match="uint8, int8 or float32 pixels. Received: int64"):
        input_converter(report, tensor)
