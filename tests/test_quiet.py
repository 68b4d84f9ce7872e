"""What TensorFlow says as it starts stays unsaid; what is for people is said."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import kvision as kv
from kvision.quiet import is_noise, quietly

ROOT = Path(__file__).resolve().parents[1]


def python(*arguments, folder, **variables):
    """What a fresh Python says, with an environment that asks for nothing."""
    environment = {key: value for key, value in os.environ.items() if "TF_" not in key}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("app", sorted((ROOT / "apps").glob("*.py")), ids=lambda app: app.stem)
def test_help_of_an_app_starts_nothing(app, tmp_path):
    for name in ("tensorflow.py", "keras.py"):
        (tmp_path / name).write_text(f"raise SystemExit('{name} is imported')")
    done = python(app, "--help", folder=tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
    assert f"usage: {app.name}" in done.stdout
    assert not done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keras.py", "tensorflow.py"]


def test_help_of_the_command_line_starts_nothing(tmp_path):
    for name in ("tensorflow.py", "keras.py"):
        (tmp_path / name).write_text(f"raise SystemExit('{name} is imported')")
    code = "from kvision.cli import main; main()"
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    for command in ([], ["predict"]):
        done = python("-c", code, *command, "--help", folder=tmp_path, PYTHONPATH=path)
        assert done.returncode == 0, done.stderr
        assert "Usage" in done.stdout
        assert not done.stderr


def test_a_start_says_nothing_and_an_error_in_fit_everything(tmp_path):
    code = """
from kvision.quiet import quietly
with quietly():
    import keras
import sys
import numpy as np
import tensorflow as tf
import kvision as kv
kv.training.strategy(2)  # virtual devices can still be made
images = np.zeros((4, 8, 8, 3), "uint8"), np.zeros(4, "int64")
batches = kv.data.batches(tf.data.Dataset.from_tensor_slices(images), (8, 8, 3), 2, training=True)
model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])
model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(batches, verbose=0)
print("fitted", file=sys.stderr)
model.fit(batches.map(lambda image, label: (image[:, :4], label)), verbose=0)
"""
    done = python("-c", code, folder=tmp_path)
    assert done.returncode == 1
    first, second, *_ = done.stderr.splitlines()
    assert first == "fitted"
    assert second == "Traceback (most recent call last):"
    assert "InvalidArgumentError" in done.stderr


def test_what_is_no_noise_is_said_afterwards(capfd):
    lines = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1795651576.091355    5525 port.cc:153] oneDNN custom operations are on.",
        "E0000 00:00:1795651579.315008    5525 cuda_platform.cc:52] failed call to cuInit: 303",
        "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.",
        "E0000 00:00:1795651579.315008    5525 cuda_dnn.cc:52] Loaded runtime CuDNN: 9.1",
        "Something is wrong",
    ]

    def fails():
        with quietly():
            os.write(2, "".join(f"{line}\n" for line in lines).encode())  # as C++ does
            print("no such module", file=sys.stderr)
            raise ImportError

    with pytest.raises(ImportError):
        fails()
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == sorted([*lines[4:], "no such module"])
    assert [is_noise(line) for line in lines] == [True] * 4 + [False] * 2


def test_someone_who_looks_for_an_error_sees_everything(capfd, monkeypatch):
    monkeypatch.setenv("KVISION_DEBUG", "1")
    with quietly():
        os.write(2, b"I0000 00:00:1795651576.091355    5525 port.cc:153] oneDNN is on.\n")
    assert "oneDNN" in capfd.readouterr().err


def test_without_a_standard_error_there_is_nothing_to_hold_back(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with quietly():
        pass


def test_plain_fit_with_our_batches_does_not_warn():
    data = tf.data.Dataset.from_tensor_slices((np.zeros((4, 8, 8, 3), "uint8"), np.zeros(4)))
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(1))
    model.compile("sgd", "mse", run_eagerly=True)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model.fit(kv.data.batches(data, (8, 8, 3), 2, training=True), verbose=0)
    assert not said
