"""Mixed precision and XLA, one flag each."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv


@pytest.fixture
def mixed():
    yield kv.training.mixed_precision()
    kv.training.mixed_precision(False)


def small_model(**compile_options):
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", **compile_options)
    return model


def test_policy(mixed):
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    assert mixed == ("mixed_float16" if has_gpu else "mixed_bfloat16")
    assert keras.mixed_precision.global_policy().name == mixed
    assert kv.training.mixed_precision(False) == "float32"
    assert keras.mixed_precision.global_policy().name == "float32"


@pytest.mark.parametrize("devices", [None, 2])
def test_mixed_precision_trains_and_keeps_float32_weights(mixed, tmp_path, devices):
    with kv.training.strategy(devices).scope():
        model = small_model()
    images, labels = np.random.default_rng(0).normal(size=(6, 8, 8, 1)), np.arange(6) % 3
    callbacks = kv.training.callbacks(tmp_path)
    history = model.fit(
        images, labels, batch_size=4, epochs=8, verbose=0, callbacks=callbacks, shuffle=False
    ).history
    assert history["loss"][-1] < history["loss"][0]
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    assert model.layers[0].compute_dtype == mixed.removeprefix("mixed_")
    saved = keras.models.load_model(tmp_path / "model.keras")
    assert saved.predict(images, verbose=0).dtype == np.float32


@pytest.mark.parametrize("name", ["LeNet5", "MobileNet", "MobileNetV2"])
def test_our_models_give_float32_in_mixed_precision(mixed, name):
    shape = (32, 32, 1) if name == "LeNet5" else (32, 32, 3)
    model = getattr(kv.models, name)(classes=3, input_shape=shape)
    assert model.output.dtype == "float32"
    total = model(np.zeros((2, *shape), "float32")).numpy().sum(1)
    np.testing.assert_allclose(total, 1, atol=1e-5)
    inner = {layer.compute_dtype for layer in model.layers if layer.weights}
    assert mixed.removeprefix("mixed_") in inner


def test_jit_compile_is_a_flag_of_compile():
    model = small_model(jit_compile=True)
    images, labels = np.ones((4, 8, 8, 1), "float32"), np.zeros(4)
    history = model.fit(images, labels, epochs=3, verbose=0).history
    assert model.jit_compile
    assert history["loss"][-1] < history["loss"][0]
