"""One small trained network and its files, made once for all tests of a process."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from sklearn.datasets import load_digits
from squares import SHAPES, squares

import kvision as kv

NAMES = ["zéro", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine and a half"]


class Digits:
    """Handwritten digits at 32x32 in RGB: dim on purpose, their pixels lie in 20..220."""

    def __init__(self):
        bunch = load_digits()
        images = np.kron(bunch.images, np.ones((4, 4))) * 12.5 + 20
        images = np.repeat(images[..., None], 3, axis=-1).round().astype("uint8")
        self.train, self.train_labels = images[:1400], bunch.target[:1400]
        self.test, self.test_labels = images[1400:], bunch.target[1400:]

    def batches(self, size=64, count=None):
        images, labels = self.test[:count], self.test_labels[:count]
        return [
            (images[i : i + size].astype("float32"), labels[i : i + size])
            for i in range(0, len(images), size)
        ]


@pytest.fixture(scope="session")
def digits():
    return Digits()


@pytest.fixture(scope="session")
def names():
    return NAMES


def _build():
    image = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, -1)(image)
    x = layers.RandomTranslation(0.1, 0.1)(x)
    for filters in (16, 32, 64):
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU(6.0)(x)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(image, layers.Dense(10, activation="softmax")(x), name="tiny")


@pytest.fixture
def build_tiny():
    return _build


@pytest.fixture(scope="session")
def tiny(digits):
    keras.utils.set_random_seed(3)
    model = _build()
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    images = digits.train.astype("float32")
    model.fit(images, digits.train_labels, batch_size=64, epochs=8, verbose=0)
    return model


@pytest.fixture(scope="session")
def exported(tiny, digits, tmp_path_factory):
    """The path of `tiny` in a format, exported on first use."""
    folder = tmp_path_factory.mktemp("run")
    made = {}

    def path_of(kind):
        if kind not in made:
            if kind == "saved_model":
                made[kind] = kv.export.saved_model(tiny, folder / "saved_model")
            elif kind == "keras":
                made[kind] = folder / "model.keras"
                tiny.save(made[kind])
            else:
                made[kind] = kv.export.tflite(
                    tiny,
                    folder / f"model_{kind}.tflite",
                    quantize=None if kind == "float32" else kind,
                    calibration=digits.train[:200],
                    labels=NAMES,
                )
        return made[kind]

    return path_of


@pytest.fixture(scope="session")
def detector(detector_run):
    model = kv.export.load_keras(detector_run)
    model.compile("adam")
    return model


@pytest.fixture(scope="session")
def detector_file(detector, tmp_path_factory):
    """The path of `detector` in a format, exported on first use."""
    folder, made = tmp_path_factory.mktemp("detector"), {}

    def path_of(kind, postprocess=False):
        if (kind, postprocess) not in made:
            made[kind, postprocess] = kv.export.tflite(
                detector,
                folder / f"{kind}{'_objects' * postprocess}.tflite",
                kind,
                calibration=squares(100, seed=0)[0],
                labels=SHAPES,
                postprocess=postprocess,
            )
        return made[kind, postprocess]

    return path_of


@pytest.fixture
def convert():
    """TensorFlow's converter as others use it, for files that kvision would not write."""

    def run(model, path, **settings):
        import tensorflow as tf

        spec = {"supported_ops": settings.pop("supported_ops", [tf.lite.OpsSet.TFLITE_BUILTINS])}
        batch = settings.pop("batch_size", 1)
        signature = [keras.InputSpec(shape=(batch, *model.input_shape[1:]), dtype="float32")]
        model.export(
            str(path),
            format="litert",
            verbose=False,
            input_signature=signature,
            target_spec=spec,
            **settings,
        )
        return path

    return run


@pytest.fixture
def flex_file(convert, tmp_path):
    """A file with an operator that LiteRT lacks: `keras.ops.argmax` of floats."""
    import tensorflow as tf

    operators = tf.lite.OpsSet
    return convert(
        flex_model(),
        tmp_path / "flex.tflite",
        supported_ops=[operators.TFLITE_BUILTINS, operators.SELECT_TF_OPS],
    )


def flex_model():
    image = keras.Input((8, 8, 3))
    largest = keras.ops.argmax(layers.Conv2D(4, 3)(image), axis=-1)
    x = layers.Flatten()(keras.ops.cast(largest, "float32"))
    return keras.Model(image, layers.Dense(3, activation="softmax")(x))


@pytest.fixture(name="flex_model")
def flex_model_fixture():
    return flex_model()


def _stand_ins(python, folder):
    """Empty graphics libraries, where the machine has none.

    MediaPipe's library is linked against OpenGL ES, also where only the processor computes.
    """
    found = (
        "import importlib.util as u; print(*u.find_spec('mediapipe').submodule_search_locations)"
    )
    home = subprocess.run([python, "-c", found], capture_output=True, text=True, check=True).stdout
    library = Path(home.strip()) / "tasks" / "c" / "libmediapipe.so"
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True
    )
    names = sorted(set(re.findall(r"\b(?:egl|gl)[A-Z]\w*", listed.stdout)))
    source = folder / "graphics.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in names))
    for name in ("libEGL.so.1", "libGLESv2.so.2"):
        command = ["gcc", "-shared", "-fPIC", source, "-o", folder / name, f"-Wl,-soname,{name}"]
        subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def mediapipe(tmp_path_factory):
    """Runs a script beside this file with MediaPipe on a model and images; gives what it prints."""
    default = Path(__file__).parents[2] / ".venv-mediapipe" / "bin" / "python"
    python = os.environ.get("KVISION_MEDIAPIPE_PYTHON", str(default))
    if not Path(python).is_file():
        pytest.skip(f"there is no environment with MediaPipe: {python} (`make test` makes it)")
    folder = tmp_path_factory.mktemp("mediapipe")
    environment = dict(os.environ)

    def run(script, path, images, *arguments):
        np.save(folder / "images.npy", images, allow_pickle=False)
        client = Path(__file__).with_name(script)
        command = [python, client, path, folder / "images.npy", *arguments]
        result = subprocess.run(
            command, capture_output=True, text=True, env=environment, check=False
        )
        missing = re.search(r"lib(EGL|GLESv2)\S*: (cannot open|file too short)", result.stderr)
        if missing and "LD_LIBRARY_PATH" not in environment:
            if not (shutil.which("gcc") and shutil.which("nm")):
                pytest.skip(f"MediaPipe lacks a library, and there is no gcc: {missing[0]}")
            environment["LD_LIBRARY_PATH"] = str(_stand_ins(python, folder))
            return run(script, path, images, *arguments)
        assert result.returncode == 0, result.stderr[-3000:]
        return json.loads(result.stdout)

    return run
