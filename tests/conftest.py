"""One TensorFlow for all tests of a process: two logical CPU devices, set before anything runs."""

import faulthandler
import os
import shutil
import signal
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path

import pytest

from kvision.files.locking import held
from kvision.quiet import quietly


def pytest_configure(config):
    _end_some_day(hours=1 if "not slow" in config.option.markexpr else 6)
    with quietly():
        import tensorflow as tf
    devices = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        devices[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_collection_modifyitems(config, items):
    """What is left to a twin is said, not silently left out."""
    if "not slow" in config.option.markexpr:
        for item in items:
            if mark := item.get_closest_marker("twin"):
                item.add_marker(pytest.mark.skip(reason=f"{mark.args[0]}; `make test-all` runs it"))


def _end_some_day(hours):
    """Ends this process then, whatever hangs: between the tests nothing else watches."""
    if hasattr(signal, "alarm"):  # not on Windows
        faulthandler.register(signal.SIGALRM, chain=True)
        signal.alarm(hours * 3600)


@pytest.fixture(autouse=True)
def _same_seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _clean_keras():
    yield
    import keras

    keras.backend.clear_session()


@pytest.fixture(scope="session")
def shared_data():
    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared data sets are absent: {folder}")
    return folder


@pytest.fixture(scope="session")
def alive():
    """`waking.awaken`."""
    import waking

    return waking.awaken


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A finished run of LeNet-5 on the digits; made once, also for several test processes."""
    return _made_once(tmp_path_factory, "digits_run", _train_digits)


@pytest.fixture(scope="session")
def scenes_run(tmp_path_factory):
    """A finished run of a small segmenter on easy scenes; made once for all test processes."""
    return _made_once(tmp_path_factory, "scenes_run", _train_scenes)


@pytest.fixture(scope="session")
def detector_run(tmp_path_factory):
    """A finished run of a small detector of squares; made once for all test processes."""
    return _made_once(tmp_path_factory, "detector_run", _train_squares)


def _made_once(tmp_path_factory, name, make):
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    run, done, lock = base / name, base / f"{name}.done", base / f"{name}.lock"
    lock.mkdir(exist_ok=True)
    while not done.exists():
        try:
            with held(lock):  # which a process that dies lets go
                if not done.exists():
                    shutil.rmtree(run, ignore_errors=True)
                    run.mkdir()
                    make(run)
                    done.touch()
        except BlockingIOError:
            time.sleep(0.2)
    return run


def _train_digits(run):
    import keras

    import kvision as kv

    keras.utils.set_random_seed(0)
    train, info = kv.data.load("digits", "train", with_info=True)
    test = kv.data.batches(kv.data.load("digits", "test"), (32, 32, 1), 64, training=False)
    batches = kv.data.batches(train, (32, 32, 1), 64, training=True, seed=0)
    model = kv.models.LeNet5(variant="modern")
    model.compile(
        keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.fit(
        batches, validation_data=test, epochs=6, callbacks=kv.training.callbacks(run), verbose=0
    )
    kv.runs.release(
        model,
        run,
        test,
        kv.data.batches(train, (32, 32, 1), 64, training=False),
        info.class_names,
        data="The digits.",
        command="tests",
    )


def _train_scenes(run):
    import keras
    from keras import layers

    import kvision as kv

    keras.utils.set_random_seed(0)
    given = {"size": (32, 40), "difficulty": 0.0, "train": 64, "validation": 8, "test": 16}
    splits, info = kv.data.load("scenes", ["train", "test"], with_info=True, **given)
    train, test = (
        kv.data.batches(split, (32, 40, 3), 8, target="segmentation_mask") for split in splits
    )
    image = keras.Input((32, 40, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for _ in range(2):
        x = layers.Conv2D(16, 1, activation="relu")(x)  # here colour tells the class
    x = layers.Conv2D(9, 1)(x)
    model = keras.Model(image, layers.Softmax(name="predictions")(x), name="scenes_by_colour")
    model.compile(
        keras.optimizers.Adam(2e-2),
        kv.losses.MaskCrossentropy(),
        metrics=[kv.metrics.MeanIoU(9)],
    )
    model.fit(
        train, validation_data=test, epochs=30, callbacks=kv.training.callbacks(run), verbose=0
    )
    names = info.features["segmentation_mask"].names
    kv.runs.release(model, run, test, train, names, data="Easy scenes.", command="tests")


def _train_squares(run):
    import keras
    from squares import SHAPES, build_detector, squares

    import kvision as kv

    keras.utils.set_random_seed(0)
    model = build_detector()
    rate = keras.optimizers.schedules.CosineDecay(1e-2, 16 * 15)
    model.compile(keras.optimizers.Adam(rate))
    images, truth = squares(512, seed=0)
    images = images.astype("float32")
    watch = kv.training.callbacks(run)
    model.fit(images, truth, batch_size=32, epochs=15, callbacks=watch, verbose=0)
    few, their_truth = squares(64, seed=3)
    test = [(few.astype("float32"), their_truth)]
    kv.runs.release(model, run, test, images[:100], SHAPES, data="Squares.", command="tests")
