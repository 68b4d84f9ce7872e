"""One TensorFlow for all tests of a process: two logical CPU devices, set before anything runs."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path

import pytest


def pytest_configure(config):
    import tensorflow as tf

    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


@pytest.fixture(autouse=True)
def _clean_keras():
    import keras

    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are absent: {folder}")
    return folder


@pytest.fixture
def alive():
    """Gives a fresh model moving statistics that fit noise, so that its outputs vary."""

    def adapt(model, low=0.0, high=255.0):
        import keras
        import numpy as np

        norms = [la for la in model.layers if isinstance(la, keras.layers.BatchNormalization)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        shape = [size or 64 for size in model.input_shape[1:]]
        model(
            np.random.default_rng(7).uniform(low, high, (4, *shape)).astype("float32"),
            training=True,
        )
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        return model

    return adapt
